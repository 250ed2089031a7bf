"""People are found by a part of what is known of them, sorted by any column, page by page; the forgotten are gone."""

import csv
import shutil
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from chassis.migrations import migrate
from ledger import migrations
from ledger.store.codec import decode_account
from ledger.store.projected import people_list
from ledger.store.projected.people_list import (
    PeoplePage,
    PeopleSort,
    PeopleWanted,
    PersonLine,
    load_people,
    load_people_page,
)

from tests.support.infrastructure import Postgres
from tests.support.ledger_operate import operate_on
from tests.support.projecting import caught_up, projecting

NAMES = {
    "account-00000": ("João Araújo", "joao@example.com"),
    "account-00001": ("joana", None),
    "account-00002": ("JOÃO Ávila", "Zoe@example.com"),
    "account-00003": (None, "ana@empresa.com.br"),
    "account-00004": ("Ana", "bia@example.com"),
    # The others have no profile.
}


@pytest_asyncio.fixture
async def people(own_ledger: str, damaged: asyncpg.Connection) -> asyncpg.Connection:
    """A ledger whose people are projected, some of them known by name."""
    async with projecting(own_ledger):
        await caught_up(damaged, "statement")
    await damaged.executemany(
        "INSERT INTO ledger.profiles (account_id, name, email) VALUES ($1, $2, $3)",
        [(account_id, *known) for account_id, known in NAMES.items()],
    )
    return damaged


async def listed(connection: asyncpg.Connection, **wanted: Any) -> list[PersonLine]:  # Any: each has its own type
    return [person async for person in load_people(connection, PeopleWanted(**wanted))]


async def test_people_are_as_the_ledger_s_own_accounts(people: asyncpg.Connection) -> None:
    rows = await people.fetch("SELECT account_id, state FROM ledger.accounts WHERE version > 0 ORDER BY 1")
    calls = await people.fetch(
        "SELECT account_id, max(recorded_at) FROM ledger.events WHERE type LIKE '%tokens_reserved%' GROUP BY 1"
    )
    last_calls = {row[0]: row[1] for row in calls}
    accounts = {row[0]: decode_account(row[1]) for row in rows}
    told = {each.account_id: each for each in await listed(people)}
    assert told.keys() == accounts.keys()
    assert await people.fetchval("SELECT count(*) FROM pg_indexes WHERE tablename ~ '^statement_v.*_people$'") == 8
    for account_id, account in accounts.items():
        each = told[account_id]
        assert (each.plan, each.status, each.credits, each.debt) == (
            account.plan,
            account.status,
            account.credits,
            account.debt,
        )
        assert (each.monthly_used, each.monthly_limit) == (account.monthly_used, account.monthly_limit)
        assert each.last_call_at == last_calls[account_id]


def _key(sort: PeopleSort, person: PersonLine) -> Any:  # Any: what is compared
    match sort:
        case PeopleSort.ACCOUNT:
            return person.account_id
        case PeopleSort.LAST_CALL:
            return person.last_call_at or datetime.min.replace(tzinfo=UTC)
        case PeopleSort.USED | PeopleSort.LIMIT:
            return getattr(person, f"monthly_{sort}")
        case _:
            return getattr(person, sort)


async def test_pages_of_any_size_are_the_whole_list_in_order(people: asyncpg.Connection) -> None:
    for sort, descending in product(set(PeopleSort) - {PeopleSort.NAME, PeopleSort.EMAIL}, (False, True)):
        whole = await listed(people, sort=sort, descending=descending)
        assert len(whole) == 12
        assert whole == sorted(whole, key=lambda each: (_key(sort, each), each.account_id), reverse=descending)
        wanted = PeopleWanted(sort=sort, descending=descending)
        assert await _paged(people, wanted, Random(sort)) == whole


async def _paged(connection: asyncpg.Connection, wanted: PeopleWanted, random: Random) -> list[PersonLine]:
    people: list[PersonLine] = []
    async with connection.transaction():
        page = PeoplePage([], None)
        while True:
            page = await load_people_page(connection, wanted, page.mark, size=random.randrange(1, 5))
            people += page.people
            if page.mark is None:
                return people


@pytest.mark.parametrize("descending", [False, True])
async def test_by_name_and_address_those_without_come_last(people: asyncpg.Connection, descending: bool) -> None:
    random = Random(7)
    by_name = await listed(people, sort=PeopleSort.NAME, descending=descending)
    named = ["Ana", "joana", "João Araújo", "JOÃO Ávila"]
    assert [each.name for each in by_name[:4]] == (named[::-1] if descending else named)
    unnamed = [each.account_id for each in by_name[4:]]
    assert unnamed == sorted(unnamed)
    assert len(unnamed) == 8
    wanted = PeopleWanted(sort=PeopleSort.NAME, descending=descending)
    assert await _paged(people, wanted, random) == by_name
    by_email = await listed(people, sort=PeopleSort.EMAIL, descending=descending)
    addresses = ["ana@empresa.com.br", "bia@example.com", "joao@example.com", "Zoe@example.com"]
    assert [each.email for each in by_email[:4]] == (addresses[::-1] if descending else addresses)


@pytest.mark.parametrize(("met", "most"), [(5_000, 10_000), (1, 10_000), (1, 1)], ids=["common", "rare", "far off"])
async def test_a_part_of_name_address_or_id_finds_people(
    people: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch, met: int, most: int
) -> None:
    monkeypatch.setattr(people_list, "MET_ON_THE_WAY", met)
    monkeypatch.setattr(people_list, "MOST_FOUND", most)

    async def found(part: str, **wanted: Any) -> list[str]:  # Any: as above
        return [each.account_id[-1] for each in await listed(people, part=part, **wanted)]

    assert await found("joao") == ["0", "2"]
    assert await found("JOÃO áv", sort=PeopleSort.NAME) == ["2"]
    assert await found("joa", sort=PeopleSort.NAME) == ["1", "0", "2"]
    assert await found("empresa") == ["3"]
    assert await found("nt-00004") == ["4"]
    assert await found("joa", sort=PeopleSort.EMAIL, descending=True) == ["2", "0", "1"]
    assert await found("%'; --") == []


async def test_who_is_forgotten_is_found_no_more_and_named_nowhere(own_ledger: str, people: asyncpg.Connection) -> None:
    operate = operate_on(own_ledger)
    (found,) = (await operate("people", who="zoe@")).lines
    assert (found["account_id"], found["name"]) == ("account-00002", "JOÃO Ávila")
    assert (await operate("forget", account="account-00002")).code == 0
    assert (await operate("people", who="zoe@")).lines == []
    everybody = (await operate("people")).out
    assert "Zoe" not in everybody
    assert "account-00002" in everybody
    assert not await people.fetchval("SELECT count(*) FROM ledger.profiles WHERE searched LIKE '%zoe%'")


@pytest.mark.usefixtures("people")
async def test_a_program_gets_lines_and_a_person_a_table_with_the_total(own_ledger: str) -> None:
    operate = operate_on(own_ledger)
    lines = (await operate("people", sort="-used")).lines
    assert [line["monthly_used"] for line in lines] == sorted((line["monthly_used"] for line in lines), reverse=True)
    table = (await operate("people", sort="name", format="table")).out.splitlines()
    assert table[0].split()[:3] == ["account_id", "name", "email"]
    assert table[1].split()[:2] == ["account-00004", "Ana"]
    records = [*csv.DictReader((await operate("people", format="csv")).out.splitlines())]
    assert (len(records), records[-1]["account_id"]) == (13, "total")
    assert int(records[-1]["monthly_used"]) == sum(line["monthly_used"] for line in lines)
    assert (await operate("replay", projection="statement")).code == 0


async def test_people_who_were_known_before_are_found_as_well(postgres_server: Postgres, tmp_path: Path) -> None:
    shutil.copytree(
        Path(migrations.__path__[0], "versions"),
        tmp_path / "versions",
        ignore=lambda _, names: {name for name in names if name >= "0026"},
    )
    url = await postgres_server.create_database("people_of_before")
    await migrate(url, "ledger", folder=tmp_path)
    connection = await asyncpg.connect(url)
    await connection.execute(
        "INSERT INTO ledger.profiles (account_id, name) SELECT 'p' || n, 'Zoë ' || n FROM generate_series(1, 4500) AS n"
    )
    await migrate(url, "ledger")
    found = await connection.fetch("SELECT account_id FROM ledger.profiles WHERE position('zoe 4321' IN searched) > 0")
    assert [row[0] for row in found] == ["p4321"]
    assert await connection.fetchval("SELECT count(*) FROM ledger.profiles WHERE searched IS NULL") == 0
    await connection.close()
    await postgres_server.drop_database("people_of_before")
