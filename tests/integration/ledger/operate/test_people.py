"""Operators find people, hand out what is kept of them, and forget them."""

import json

import asyncpg
import pytest
from contracts.profiles import Profile
from ledger.store import people
from ledger.store.read_path import store_profile

from tests.support.ledger_operate import Operate

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


@pytest.mark.parametrize("who", ["nobody-at-all", "50%off", "silva joao", "account-0000"])
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
        assert "profiles_by_part" in "\n".join(row[0] for row in plan)
        # Only so many are told, and that there are more.
        assert len(await people.people_by_part(database, "example.com", 5)) == 5
        await database.execute("DELETE FROM ledger.profiles WHERE account_id LIKE 'many-%'")


async def test_an_export_holds_profile_balance_lots_audit_and_events(operate: Operate) -> None:
    await operate("credit", account=JOAO, new=1, tokens=5, reason="because João asked")
    lines = (await operate("export", account=JOAO)).lines
    kinds = [next(iter(line)) for line in lines]
    assert kinds[:4] == ["profile", "balance", "lot", "audit"]
    assert set(kinds[4:]) == {"event"}
    assert lines[0]["profile"]["email"] == "joao.silva@exemplo.com.br"
    assert lines[3]["audit"]["reason"] == "because João asked"
    assert lines[3]["audit"]["details"]["tokens"] == 5
    (await operate("export", account="nobody")).assert_refused(1)
    assert [next(iter(line)) for line in (await operate("export", account=ODD)).lines] == ["profile"]


async def test_a_person_is_forgotten_and_the_figures_stay(operate: Operate, database: asyncpg.Connection) -> None:
    before = (await operate("balance", account="account-00002")).json
    ran = await operate("forget", account="account-00002", reason="asked for it")
    assert (ran.code, ran.json) == (0, {"account_id": "account-00002", "erased": True})
    kept = await database.fetchrow("SELECT * FROM ledger.profiles WHERE account_id = 'account-00002'")
    assert kept is not None
    assert {name for name, value in kept.items() if value is not None} == {"account_id", "updated_at", "forgotten_at"}
    (await operate("find", who="zoë")).assert_refused(1)
    assert (await operate("balance", account="account-00002")).json == before
    audit = "SELECT action, reason FROM ledger.audit WHERE account_id = 'account-00002'"
    assert [tuple(row) for row in await database.fetch(audit)] == [("forget", "asked for it")]
    assert (await operate("forget", account="account-00002")).json["erased"] is False
    assert await database.fetchval("SELECT count(*) FROM ledger.audit WHERE action = 'forget'") == 1
    (await operate("forget", account="nobody")).assert_refused(1)
    assert json.loads((await operate("find", who="account-00002")).out)["email"] is None
