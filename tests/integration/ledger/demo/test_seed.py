"""Demo accounts come from the ledger's own commands, are sound, and are made once."""

from datetime import timedelta
from pathlib import Path

import asyncpg
from ledger.demo.people import PEOPLE

from tests.support.ledger_operate import operate_on


async def test_seeding_makes_weeks_of_sound_history_once(own_ledger: str, damaged: asyncpg.Connection) -> None:
    operate = operate_on(own_ledger)
    last = await damaged.fetchval("SELECT max(position) FROM ledger.events")
    first = await operate("seed")
    assert (first.code, first.err) == (0, "")
    assert first.json["created"] == [person.account_id for person in PEOPLE]
    again = await operate("seed")
    assert (again.code, again.json["created"], again.json["events"]) == (0, [], 0)
    assert (
        await damaged.fetchval("SELECT count(*) FROM ledger.events WHERE position > $1", last) == first.json["events"]
    )
    times = await damaged.fetchrow(
        "SELECT min(recorded_at), max(recorded_at), clock_timestamp() FROM ledger.events WHERE position > $1", last
    )
    assert times is not None
    assert times[1] - times[0] > timedelta(days=40)
    assert times[1] < times[2]
    assert (await operate("verify")).code == 0
    replayed = await operate("replay")
    assert (replayed.code, replayed.json["differences"]) == (0, [])


async def test_the_demo_shows_every_kind_of_account(own_ledger: str, damaged: asyncpg.Connection) -> None:
    operate = operate_on(own_ledger)
    await operate("seed")
    balances = {person.account_id: (await operate("balance", account=person.account_id)).json for person in PEOPLE}
    assert [each for each, balance in balances.items() if balance["status"] == "suspended"] == ["demo-heitor"]
    assert {balance["held"] for balance in balances.values()} == {0}
    assert 0 < balances["demo-felipe"]["available"] < balances["demo-felipe"]["monthly_limit"] * 0.05
    exhausted = await damaged.fetch("SELECT account_id FROM ledger.accounts WHERE state->>'exhausted' = 'true'")
    assert [row[0] for row in exhausted] == ["demo-gabriela"]
    assert 0 <= balances["demo-gabriela"]["available"] < 5_000
    assert balances["demo-isabela"]["credits"] > 0
    names = {row[0] for row in await damaged.fetch("SELECT name FROM ledger.profiles")}
    assert names == {person.name for person in PEOPLE}
    data = b" ".join(row[0] for row in await damaged.fetch("SELECT data FROM ledger.events"))
    assert b"example.com" not in data
    assert "João".encode() not in data


async def test_an_account_that_exists_is_left_alone(own_ledger: str) -> None:
    operate = operate_on(own_ledger)
    before: object = (await operate("credit", new=1, account="demo-ana", tokens=5, reason="r")).json
    ran = await operate("seed")
    assert ran.json["skipped"] == ["demo-ana"]
    assert len(ran.json["created"]) == len(PEOPLE) - 1
    assert (await operate("balance", account="demo-ana")).json == before


async def test_a_plan_that_the_catalog_lacks_falls_back_to_the_default(own_ledger: str, tmp_path: Path) -> None:
    operate = operate_on(own_ledger)
    catalog = tmp_path / "catalog.toml"
    catalog.write_text('version = "1"\n[plans.basic]\nmonthly_tokens = 1000\n')
    ran = await operate("seed", environment={"SOLARIS_CATALOG": str(catalog)})
    assert (ran.code, ran.err) == (0, "")
    assert (await operate("balance", account="demo-elisa")).json["plan"] == "basic"


async def test_a_grant_of_the_demo_can_be_taken_back(own_ledger: str, damaged: asyncpg.Connection) -> None:
    operate = operate_on(own_ledger)
    await operate("seed")
    lot = await damaged.fetchrow("SELECT account_id, lot_id FROM ledger.lots LIMIT 1")
    assert lot is not None
    ran = await operate("revoke", account=lot["account_id"], lot=lot["lot_id"], tokens=1, reason="r")
    assert ran.code == 0, ran
