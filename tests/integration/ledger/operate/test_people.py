"""Operators find people, hand out what is kept of them, and forget them."""

import asyncio
import json
import os
import sys

import asyncpg
import pytest
from contracts.profiles import Profile
from ledger.store import people
from ledger.store.held_rows import held_rows
from ledger.store.profiles import FORGOTTEN_FOR
from ledger.store.read_path import store_profile
from ledger.store.requests.people import erase_requests

from tests.support.eventually import eventually
from tests.support.ledger_operate import CATALOG, Operate

JOAO = "665f1a2b3c4d5e6f70818283"
ODD = "p-0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
async def known(operate: Operate, database: asyncpg.Connection) -> None:
    await store_profile(
        database, JOAO, Profile(email="joao.silva@exemplo.com.br", name="JOÃO DA SILVA", locale="pt-BR")
    )
    await store_profile(database, ODD, Profile(user_id="Maria Conceição/7", name="Maria"))
    await store_profile(database, "account-00002", Profile(email="50%_off@example.org", name="Zoë"))


@pytest.mark.parametrize(
    ("who", "found"),
    [
        (JOAO, [JOAO]),
        ("joao", [JOAO]),
        ("João da", [JOAO]),
        ("SILVA@EXEMPLO", [JOAO]),
        ("conceicao", [ODD]),
        ("Maria Conceição/7", [ODD]),
        (ODD, [ODD]),
        ("zoë", ["account-00002"]),
        ("50%_off", ["account-00002"]),
        ("account-00002", ["account-00002"]),
        ("account-00004", ["account-00004"]),
        ("  silva ", [JOAO]),
    ],
)
async def test_people_are_found_by_id_or_any_part_of_name_email_or_the_clients_own_id(
    operate: Operate, who: str, found: list[str]
) -> None:
    ran = await operate("find", who=who)
    assert (ran.code, ran.err) == (0, "")
    assert [line["account_id"] for line in ran.lines] == found


async def test_a_pseudonym_tells_which_id_it_stands_for(operate: Operate) -> None:
    assert (await operate("find", who=ODD)).json["user_id"] == "Maria Conceição/7"


@pytest.mark.parametrize("who", ["nobody-at-all", "50%off", "silva joao", "account-9999"])
async def test_nobody_is_told_and_is_an_error(operate: Operate, who: str) -> None:
    (await operate("find", who=who)).assert_refused(1)


async def test_a_search_among_many_people_goes_by_its_index(operate: Operate, database: asyncpg.Connection) -> None:
    async with database.transaction():
        await database.execute(
            "INSERT INTO ledger.profiles (account_id, email, name)"
            " SELECT 'many-' || n, md5(n::text) || '@example.com', 'Person ' || n FROM generate_series(1, 20000) AS n"
        )
        await database.execute("ANALYZE ledger.profiles")
        plan = await database.fetch("EXPLAIN " + people._PEOPLE_BY_PART.replace("$1", "'silva@ex'").replace("$2", "5"))
        assert "profiles_searched" in "\n".join(row[0] for row in plan)
        # Only so many are told, and that there are more.
        assert len(await people.people_by_part(database, "example.com", 5)) == 5
        await database.execute("DELETE FROM ledger.profiles WHERE account_id LIKE 'many-%'")


async def test_an_export_holds_all_that_names_the_account_in_one_object(
    operate: Operate, database: asyncpg.Connection
) -> None:
    await operate("credit", account=JOAO, new=1, tokens=5, reason="because João asked", key="gift")
    held = (await operate("export", account=JOAO)).json
    assert held["profile"]["email"] == "joao.silva@exemplo.com.br"
    assert held["balance"]["credits"] == 5
    (audit,) = held["audit"]
    assert (audit["reason"], audit["details"]["tokens"]) == ("because João asked", 5)
    assert held["events"][0]["type"] == "solaris.ledger.account_opened.v1"
    tables = await database.fetch(
        "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = 'ledger'"
        " AND column_name = 'account_id' AND NOT EXISTS ("
        "SELECT FROM pg_class WHERE oid = format('ledger.%I', table_name)::regclass AND relispartition)"
    )
    told = {"profiles": "profile", "audit": "audit", "events": "events"}
    for (table,) in tables:
        if await database.fetchval(f'SELECT count(*) FROM ledger."{table}" WHERE account_id = $1', JOAO):
            assert held[told.get(table, f"ledger.{table}")], table
    (await operate("export", account="nobody")).assert_refused(1)
    assert set((await operate("export", account=ODD)).json) >= {"profile", "account_id"}


async def test_a_table_that_has_no_index_by_account_is_read_through_however_long_that_takes(
    ledger_url: str, database: asyncpg.Connection
) -> None:
    await database.execute("CREATE SCHEMA large")
    await database.execute("CREATE VIEW large.figures AS SELECT account_id FROM ledger.profiles, pg_sleep(1)")
    hurried = await asyncpg.connect(ledger_url, command_timeout=0.5)
    try:
        async with hurried.transaction():
            names = [name async for name, _ in held_rows(hurried, JOAO, told=("ledger.profiles",))]
        assert "large.figures" in names
    finally:
        await hurried.close()
        await database.execute("DROP SCHEMA large CASCADE")


async def test_dead_letters_of_a_person_are_handed_out_and_emptied_with_what_was_typed_about_them(
    operate: Operate, database: asyncpg.Connection
) -> None:
    account = "account-00005"
    await operate("credit", account=account, tokens=5, reason="Maria, who called on Monday")
    for number, who in enumerate((account, account, "account-00006")):
        await database.execute(
            "INSERT INTO ledger.dead_letters (consumer, message_id, subject, payload, reason, retried_at)"
            " VALUES ('ledger-usage', $1, $2, 'Maria', 'odd', CASE WHEN $3 THEN now() END)",
            *(f"of people {number}", f"solaris.usage.recorded.{who}", number == 1),
        )
    assert [letter["payload"] for letter in (await operate("export", account=account)).json["dead_letters"]] == [
        "Maria",
        "Maria",
    ]
    ran = (await operate("forget", account=account)).json
    assert (ran["reasons_erased"], ran["letters_erased"]) == (1, 2)
    letters = [each for each in (await operate("dead-letters")).lines if each["id"]]
    of_people = [each for each in letters if each["reason"] == "odd"]
    assert [each["payload"] for each in of_people] == ["", "", "Maria"]
    assert [each.get("discarded") is not None for each in of_people] == [True, False, False]
    (audit, forgotten) = (await operate("export", account=account)).json["audit"]
    assert (audit["action"], audit["reason"], audit["details"]["tokens"]) == ("credit", "[erased]", 5)
    assert forgotten["action"] == "forget"
    again = (await operate("forget", account=account)).json
    assert (again["erased"], again["reasons_erased"], again["letters_erased"]) == (False, 0, 0)
    await database.execute("SET ROLE solaris_ledger")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.execute("UPDATE ledger.audit SET reason = 'x'")
    await database.execute("RESET ROLE")


async def test_one_that_is_killed_half_way_is_done_again_and_noted_once(
    operate: Operate, database: asyncpg.Connection, ledger_url: str
) -> None:
    account = "account-00008"
    await store_profile(database, account, Profile(name="Half Way"))
    await database.execute(
        "INSERT INTO ledger.dead_letters (consumer, message_id, subject, payload, reason)"
        " VALUES ('ledger-usage', 'half', $1, 'Half Way', 'odd')",
        f"solaris.usage.recorded.{account}",
    )
    letter = "SELECT payload FROM ledger.dead_letters WHERE message_id = 'half'"
    name = "SELECT name FROM ledger.profiles WHERE account_id = $1"
    environment = {"PATH": os.environ["PATH"], "SOLARIS_DATABASE_URL": ledger_url, "SOLARIS_CATALOG": str(CATALOG)}
    command = (sys.executable, "-m", "ledger.operate", "forget", f"--account={account}")
    other = await asyncpg.connect(ledger_url, timeout=10)
    try:
        async with other.transaction():
            # Its last statement waits for this row.
            await other.execute("SELECT FROM ledger.profiles WHERE account_id = $1 FOR UPDATE", account)
            forgetting = await asyncio.create_subprocess_exec(*command, env=environment)
            await eventually(lambda: _is(database, letter, b""), 30)
            forgetting.kill()
            await forgetting.wait()
            # Postgres would see only behind that statement that nobody listens any more.
            await eventually(lambda: _is(database, _ENDED_WAITING, 0), 30)
    finally:
        await other.close()
    assert await database.fetchval(name, account) == "Half Way"
    notes = "SELECT count(*) FROM ledger.audit WHERE action = 'forget' AND account_id = $1"
    assert await database.fetchval(notes, account) == 0
    for _ in range(2):
        assert (await operate("forget", account=account)).code == 0
        assert await database.fetchval(name, account) is None
        assert await database.fetchval(notes, account) == 1


async def test_one_of_whom_lines_alone_were_kept_is_forgotten_though_they_have_gone_already(
    operate: Operate, database: asyncpg.Connection
) -> None:
    await erase_requests(database, "lines-alone")  # killed after that
    assert (await operate("forget", account="lines-alone")).code == 0
    notes = "SELECT count(*) FROM ledger.audit WHERE action = 'forget' AND account_id = 'lines-alone'"
    assert await database.fetchval(notes) == 1


_ENDED_WAITING = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()
"""


async def _is(database: asyncpg.Connection, query: str, wanted: object) -> bool:
    return bool(await database.fetchval(query) == wanted)


async def test_what_was_under_way_does_not_bring_a_person_back_and_a_later_call_does(
    operate: Operate, database: asyncpg.Connection
) -> None:
    account = "account-00007"
    profile = Profile(email="back@example.com", name="Back Again")
    await store_profile(database, account, profile)
    await operate("forget", account=account)
    await store_profile(database, account, profile)
    assert (await operate("find", who=account)).json["email"] is None
    await database.execute(
        "UPDATE ledger.profiles SET forgotten_at = now() - $2::interval WHERE account_id = $1", account, FORGOTTEN_FOR
    )
    await store_profile(database, account, profile)
    assert (await operate("find", who=account)).json["email"] == "back@example.com"
    assert (await operate("forget", account=account)).json["erased"] is True
    assert (
        await database.fetchval(
            "SELECT count(*) FROM ledger.audit WHERE action = 'forget' AND account_id = $1", account
        )
        == 2
    )


async def test_a_person_is_forgotten_and_the_figures_stay(operate: Operate, database: asyncpg.Connection) -> None:
    before = (await operate("balance", account="account-00002")).json
    ran = await operate("forget", account="account-00002", reason="asked for it")
    assert (ran.code, ran.json["account_id"], ran.json["erased"]) == (0, "account-00002", True)
    kept = await database.fetchrow("SELECT * FROM ledger.profiles WHERE account_id = 'account-00002'")
    assert kept is not None
    assert {name for name, value in kept.items() if value is not None} == {
        *("account_id", "searched", "updated_at", "forgotten_at")
    }
    assert kept["searched"] == "account-00002"
    (await operate("find", who="zoë")).assert_refused(1)
    assert (await operate("balance", account="account-00002")).json == before
    audit = "SELECT action, reason FROM ledger.audit WHERE account_id = 'account-00002'"
    assert [tuple(row) for row in await database.fetch(audit)] == [("forget", "asked for it")]
    assert (await operate("forget", account="account-00002")).json["erased"] is False
    assert [tuple(row) for row in await database.fetch(audit)] == [("forget", "asked for it")]
    (await operate("forget", account="nobody")).assert_refused(1)
    assert json.loads((await operate("find", who="account-00002")).out)["email"] is None
