"""Replay restores accounts and holds from the events, never blindly, while traffic goes on."""

import asyncio
from typing import Any

import asyncpg
import pytest
from chassis.postgres import DATABASE_ERRORS
from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.audit import partition, repair, survey
from ledger.audit.differences import Projection
from ledger.audit.replay import Replayed, replay
from ledger.audit.verify import Broken, Verified, verify
from ledger.domain.commands import ExpireReservation
from ledger.operate.executing import open_executor
from ledger.settings import LedgerSettings
from ledger.store import log
from ledger.store.projections import connect_for_repair, lock_account

from tests.support.eventually import eventually
from tests.support.ledger_commands import reserve_tokens
from tests.support.ledger_history import roomy_policy
from tests.support.ledger_operate import operate_on
from tests.support.tampering import tamper

ACCOUNT = "account-00003"
type Tables = tuple[list[Any], list[Any]]


@pytest.fixture(autouse=True, params=["as it lies", "account by account"])
def way_of_reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small log is read otherwise than a large one, and nothing else is different."""
    if request.param == "account by account":
        monkeypatch.setattr(survey, "SMALL_ACCOUNTS", 0)


async def _tables(connection: asyncpg.Connection) -> Tables:
    accounts = await connection.fetch("SELECT account_id, version, head, state, due_at FROM ledger.accounts ORDER BY 1")
    holds = await connection.fetch(
        "SELECT account_id, reservation_id, state, reserved_at, expires_at, record FROM ledger.holds ORDER BY 1, 2"
    )
    return [tuple(row) for row in accounts], [tuple(row) for row in holds]


async def _replayed(url: str, projection: Projection = Projection.ALL) -> Replayed:
    result = await replay(url, projection)
    assert result.difference_count >= len(result.differences)
    return result


async def test_a_sound_ledger_has_no_differences(own_ledger: str, damaged: asyncpg.Connection) -> None:
    before = await _tables(damaged)
    for projection in Projection:
        result = await _replayed(own_ledger, projection)
        assert (result.difference_count, result.repaired, result.differences) == (0, 0, [])
        assert result.events == await damaged.fetchval("SELECT count(*) FROM ledger.events")
    assert await _tables(damaged) == before


@pytest.mark.parametrize(
    "damage",
    [
        "TRUNCATE ledger.accounts",
        "TRUNCATE ledger.holds",
        "TRUNCATE ledger.accounts, ledger.holds",
        "UPDATE ledger.accounts SET state = replace(state::text, '\"monthly_used\":', '\"monthly_used\":7')::json",
        "UPDATE ledger.accounts SET state = '{}'",
        "UPDATE ledger.accounts SET state = NULL, due_at = NULL",
        "UPDATE ledger.accounts SET version = version + 3",
        "UPDATE ledger.accounts SET version = 1",
        "UPDATE ledger.accounts SET head = decode(repeat('00', 32), 'hex')",
        "UPDATE ledger.holds SET record = '{}' WHERE state = 'settled'",
        "UPDATE ledger.holds SET state = 'open'",
        "DELETE FROM ledger.holds WHERE state = 'open'",
        "UPDATE ledger.accounts SET version = 0, head = decode(repeat('00', 32), 'hex'), state = NULL",
    ],
)
async def test_damage_is_reported_and_repaired_exactly(
    own_ledger: str, damaged: asyncpg.Connection, damage: str
) -> None:
    before = await _tables(damaged)
    await damaged.execute(damage)
    result = await _replayed(own_ledger)
    assert result.repaired == result.difference_count > 0
    assert await _tables(damaged) == before
    assert (await _replayed(own_ledger)).difference_count == 0
    assert isinstance(await verify(own_ledger), Verified)


async def test_one_projection_leaves_the_other_alone(own_ledger: str, damaged: asyncpg.Connection) -> None:
    before = await _tables(damaged)
    await damaged.execute("DELETE FROM ledger.holds WHERE account_id = $1", ACCOUNT)
    await damaged.execute("UPDATE ledger.accounts SET due_at = NULL")
    assert {each.projection for each in (await _replayed(own_ledger, Projection.ACCOUNTS)).differences} == {"accounts"}
    accounts, holds = await _tables(damaged)
    assert (accounts == before[0], holds == before[1]) == (True, False)
    result = await _replayed(own_ledger, Projection.HOLDS)
    assert {(each.projection, each.account_id) for each in result.differences} == {("holds", ACCOUNT)}
    assert await _tables(damaged) == before


async def test_rows_without_events_are_reported_and_left(own_ledger: str, damaged: asyncpg.Connection) -> None:
    await damaged.execute(
        "INSERT INTO ledger.holds SELECT account_id, 'forged', state, reserved_at, expires_at, record "
        "FROM ledger.holds WHERE account_id = $1 LIMIT 1",
        ACCOUNT,
    )
    await damaged.execute(
        "INSERT INTO ledger.accounts SELECT 'ghost', version, head, state, due_at FROM ledger.accounts LIMIT 1"
    )
    before = await _tables(damaged)
    result = await _replayed(own_ledger)
    assert {(each.account_id, each.reservation_id, each.repaired) for each in result.differences} == {
        (ACCOUNT, "forged", False),
        ("ghost", None, False),
    }
    assert (result.difference_count, result.repaired) == (2, 0)
    assert await _tables(damaged) == before


async def test_a_state_is_never_taken_back_to_a_log_that_lost_its_end(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    last = await damaged.fetchval("SELECT max(version) FROM ledger.events WHERE account_id = $1", ACCOUNT)
    await tamper(damaged, "DELETE FROM ledger.events WHERE account_id = $1 AND version = $2", ACCOUNT, last)
    before = await _tables(damaged)
    for projection in (Projection.ALL, Projection.ACCOUNTS, Projection.HOLDS):
        result = await _replayed(own_ledger, projection)
        assert {(each.account_id, each.repaired) for each in result.differences} == {(ACCOUNT, False)}
        assert "missing" in result.differences[0].reason
    assert await _tables(damaged) == before


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM ledger.events WHERE account_id = $1 AND version = 7",
        "UPDATE ledger.events SET data = replace(encode(data, 'escape'), '\"tokens\":', '\"tokens\":1')::bytea"
        " WHERE account_id = $1 AND version = (SELECT min(version) FROM ledger.events WHERE account_id = $1"
        " AND type LIKE '%tokens_reserved%')",
    ],
)
async def test_nothing_is_rebuilt_from_a_broken_log(own_ledger: str, damaged: asyncpg.Connection, damage: str) -> None:
    await tamper(damaged, damage, ACCOUNT)
    before = await _tables(damaged)
    result = await _replayed(own_ledger)
    assert {(each.account_id, each.repaired) for each in result.differences} == {(ACCOUNT, False)}
    assert "broken" in result.differences[0].reason
    assert await _tables(damaged) == before


async def test_damage_is_repaired_under_traffic_that_never_stops(own_ledger: str, damaged: asyncpg.Connection) -> None:
    stop = asyncio.Event()

    async def reserve(executor: Executor, account_id: str) -> int:
        number = 0
        while not stop.is_set():
            number += 1
            command = reserve_tokens(account_id, f"t-{account_id}-{number}", prompt=3, maximum=1)
            await executor.submit(command, Kind.RESERVE)
        return number

    damages = (
        "UPDATE ledger.accounts SET due_at = due_at - interval '1 day' WHERE account_id < 'account-00008'",
        "DELETE FROM ledger.holds WHERE state = 'settled'",
        "UPDATE ledger.accounts SET state = replace(state::text, '\"crossed\":[]', '\"crossed\":[80]')::json",
    )
    async with Executor(own_ledger, roomy_policy()) as executor:
        reserving = [asyncio.create_task(reserve(executor, f"account-{number:05}")) for number in range(10)]
        for damage in damages:
            await damaged.execute(damage)
            result = await _replayed(own_ledger)
            assert result.repaired == result.difference_count
            assert isinstance(await verify(own_ledger), Verified)
        stop.set()
        assert min(await asyncio.gather(*reserving)) > 0
    assert (await _replayed(own_ledger)).difference_count == 0


async def test_a_charged_hold_and_one_still_open_are_restored_as_such(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    row = await damaged.fetchrow(
        "SELECT account_id, reservation_id FROM ledger.holds WHERE state = 'open' ORDER BY 2 LIMIT 1"
    )
    assert row is not None
    account_id, reservation_id = row
    async with open_executor(LedgerSettings(database_url=own_ledger), roomy_policy(), damaged) as executor:
        await executor.submit(ExpireReservation(account_id=account_id, reservation_id=reservation_id), Kind.SWEEPER)
    before = await _tables(damaged)
    await damaged.execute("DELETE FROM ledger.holds WHERE state <> 'settled'")
    result = await _replayed(own_ledger)
    assert {each.reason for each in result.differences} == {"the hold is missing"}
    assert await _tables(damaged) == before
    assert {row[2] for row in before[1]} == {"settled", "open", "expired"}


async def test_a_repair_that_is_frozen_gives_its_account_back(own_ledger: str, damaged: asyncpg.Connection) -> None:
    frozen = await connect_for_repair(own_ledger)
    try:
        await frozen.execute("BEGIN")
        await lock_account(frozen, ACCOUNT)
        # Nothing more comes from it, as when its process is stopped. Whoever waits for the account gets it even so.
        update = "UPDATE ledger.accounts SET due_at = due_at WHERE account_id = $1"
        await asyncio.wait_for(damaged.execute(update, ACCOUNT), 30)
        with pytest.raises(DATABASE_ERRORS):
            await frozen.execute("SELECT 1")
    finally:
        frozen.terminate()


async def test_an_account_that_others_hold_is_repaired_when_they_let_go_and_else_told(
    own_ledger: str, damaged: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "ATTEMPTS", 2)
    before = await _tables(damaged)
    await damaged.execute("UPDATE ledger.accounts SET due_at = NULL WHERE account_id IN ($1, 'account-00005')", ACCOUNT)
    holding = damaged.transaction()
    await holding.start()
    await damaged.execute("SELECT FROM ledger.accounts WHERE account_id = $1 FOR UPDATE", ACCOUNT)
    result = await _replayed(own_ledger)
    assert {(each.account_id, each.repaired) for each in result.differences} == {
        (ACCOUNT, False),
        ("account-00005", True),
    }
    monkeypatch.setattr(repair, "ATTEMPTS", 20)
    replaying = asyncio.create_task(_replayed(own_ledger))
    watching = await asyncpg.connect(own_ledger, timeout=10)
    await eventually(lambda: _waits(watching), 20, message="the repair waits for the account")
    await watching.close()
    await holding.rollback()
    assert (await replaying).repaired == 1
    assert await _tables(damaged) == before


async def _waits(connection: asyncpg.Connection) -> bool:
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ledger-repair' AND wait_event_type = 'Lock'"
    )
    return bool(await connection.fetchval(waiting))


async def test_accounts_without_rows_are_repaired_page_by_page(
    own_ledger: str, damaged: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (log, partition):
        monkeypatch.setattr(module, "PAGE_EVENTS", 100)
    monkeypatch.setattr(survey, "SMALL_ACCOUNTS", 0)
    before = await _tables(damaged)
    await damaged.execute("TRUNCATE ledger.accounts, ledger.holds")
    result = await _replayed(own_ledger)
    assert result.repaired == result.difference_count > 12
    assert await _tables(damaged) == before


async def test_the_command_prints_figures_and_exits_1_on_a_difference(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    operate = operate_on(own_ledger)
    sound = await operate("replay", projection="accounts")
    assert (sound.code, sound.err) == (0, "")
    assert sound.json["projection"] == "accounts"
    assert sound.json["differences"] == []
    assert sound.json["events"] > 0
    assert sound.json["events_per_second"] > 0
    await damaged.execute("UPDATE ledger.accounts SET due_at = NULL WHERE account_id = $1", ACCOUNT)
    ran = await operate("replay")
    assert ran.code == 1
    assert ran.json["differences"] == [
        {
            "projection": "accounts",
            "account_id": ACCOUNT,
            "version": ran.json["differences"][0]["version"],
            "reason": "the due time is not the state's",
            "repaired": True,
        }
    ]
    assert (await operate("replay")).code == 0


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("TRUNCATE ledger.lots", "has no record"),
        ("UPDATE ledger.lots SET record = '{}'", "can't be decoded"),
        (
            "UPDATE ledger.lots SET record = replace(record::text, '\"granted\":700', '\"granted\":7000')::json",
            "granted",
        ),
    ],
)
async def test_a_lot_that_is_not_what_was_granted_is_told_and_repaired(
    own_ledger: str, damaged: asyncpg.Connection, damage: str, told: str
) -> None:
    """Else more could be taken back than was ever given, or nothing of what was."""
    operate = operate_on(own_ledger)
    await operate("credit", account=ACCOUNT, tokens=700, reason="r", key="gift")
    lots = "SELECT account_id, lot_id, record::text FROM ledger.lots ORDER BY 1, 2"
    before = await damaged.fetch(lots)
    assert isinstance(await verify(own_ledger), Verified)
    await damaged.execute(damage)
    broken = await verify(own_ledger)
    assert isinstance(broken, Broken)
    assert (broken.account_id, told in broken.reason) == (ACCOUNT, True)
    result = await _replayed(own_ledger)
    assert (result.difference_count, result.repaired) == (1, 1)
    assert await damaged.fetch(lots) == before
    assert isinstance(await verify(own_ledger), Verified)


async def test_a_lot_without_a_grant_is_told_and_left(own_ledger: str, damaged: asyncpg.Connection) -> None:
    await damaged.execute("INSERT INTO ledger.lots VALUES ($1, 'forged', '{}'), ('ghost', 'forged', '{}')", ACCOUNT)
    result = await _replayed(own_ledger)
    assert {(each.account_id, each.repaired) for each in result.differences} == {(ACCOUNT, False), ("ghost", False)}
    assert await damaged.fetchval("SELECT count(*) FROM ledger.lots") == 2
