"""Holds leave when they are old; what is delivered after that is refused, and charges nothing a second time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio
from contracts.errors import InvalidError
from ledger.application.batch import decide_batch
from ledger.application.database_clock import DatabaseClock
from ledger.application.executor import Executor
from ledger.application.hold_retention import STEP, HoldRetention
from ledger.application.submission import Kind, Submission
from ledger.audit.differences import Projection
from ledger.audit.replay import replay
from ledger.audit.verify import Verified, verify
from ledger.domain.holds import HOLDS_KEPT, USAGE_TAKEN
from ledger.store.rows import Changes
from ledger.store.write_path import append_current, read_batch

from tests.support.gateway_messages import usage_recorded
from tests.support.ledger_commands import settle_usage
from tests.support.ledger_history import STARTS_AT, roomy_policy

TTL = timedelta(minutes=15)
LONG_AFTER = STARTS_AT + HOLDS_KEPT + timedelta(days=1)
HOLDS = "SELECT count(*) FROM ledger.holds WHERE state = $1"


@pytest_asyncio.fixture
async def pool(own_ledger: str) -> AsyncIterator[asyncpg.Pool]:
    """With the rights of the ledger's role, and no others."""
    role = {"role": "solaris_ledger"}
    async with asyncpg.create_pool(own_ledger, min_size=1, max_size=3, server_settings=role) as opened:
        yield opened


def retention(pool: asyncpg.Pool, *told: datetime) -> HoldRetention:
    """Of a ledger whose database has told these times."""
    clock = DatabaseClock()
    for each in told:
        clock.observe(each)
    return HoldRetention(pool, clock, TTL)


async def test_ended_holds_leave_and_the_log_still_verifies_and_replays_without_them(
    own_ledger: str, pool: asyncpg.Pool
) -> None:
    settled, still_open = [await pool.fetchval(HOLDS, state) for state in ("settled", "open")]
    assert await retention(pool, STARTS_AT + HOLDS_KEPT).tidy() == 0
    two = await asyncio.gather(retention(pool, LONG_AFTER).tidy(), retention(pool, LONG_AFTER).tidy())
    assert sum(two) == settled > 0
    assert isinstance(await verify(own_ledger), Verified)
    replayed = await replay(own_ledger, Projection.ALL)
    assert replayed.difference_count == 0
    assert [await pool.fetchval(HOLDS, state) for state in ("settled", "open")] == [0, still_open]


async def test_of_an_account_that_is_looked_at_closer_only_holds_that_must_be_there_are_missed(
    own_ledger: str, pool: asyncpg.Pool
) -> None:
    lost = await pool.fetchval("DELETE FROM ledger.holds WHERE state = 'open' RETURNING reservation_id")
    await pool.execute(
        "UPDATE ledger.holds SET reserved_at = reserved_at - interval '1 s' WHERE reservation_id = 'r-00000009'"
    )
    middle = STARTS_AT + timedelta(minutes=6)
    await retention(pool, middle + HOLDS_KEPT).tidy()
    left = await pool.fetchval(HOLDS, "settled")
    assert left > 0
    replayed = await replay(own_ledger, Projection.HOLDS)
    assert {each.reservation_id for each in replayed.differences} >= {lost}
    assert isinstance(await verify(own_ledger), Verified)
    assert await pool.fetchval(HOLDS, "settled") == left


async def test_a_clock_that_is_doubted_removes_nothing_and_one_that_is_years_ahead_little(pool: asyncpg.Pool) -> None:
    assert await retention(pool, STARTS_AT, LONG_AFTER).tidy() == 0
    assert await HoldRetention(pool, DatabaseClock(), TTL).tidy() == 0
    await pool.execute("INSERT INTO ledger.retention VALUES ('holds', $1)", STARTS_AT - 3 * STEP)
    ahead = retention(pool, STARTS_AT + timedelta(days=4_000))
    assert [await ahead.tidy() > 0 for _ in range(5)] == [False, False, False, True, False]


async def test_usage_is_taken_once_however_late_it_comes(own_ledger: str, pool: asyncpg.Pool) -> None:
    now = datetime.now(UTC)

    async def settle(executor: Executor, reservation_id: str, began: datetime) -> object:
        usage = usage_recorded(reservation_id, prompt=40, started_at=began)
        return await executor.submit(settle_usage("account-00001", usage), Kind.USAGE)

    async with Executor(own_ledger, roomy_policy()) as executor:
        kept, gone = now - USAGE_TAKEN + timedelta(hours=1), now - USAGE_TAKEN - timedelta(seconds=1)
        await settle(executor, "late", kept)
        events = await pool.fetchval("SELECT count(*) FROM ledger.events")
        await settle(executor, "late", kept)
        await pool.execute("DELETE FROM ledger.holds WHERE reservation_id = 'late'")
        for _ in range(2):
            with pytest.raises(InvalidError, match="may have been charged already"):
                await settle(executor, "late", gone)
        assert await pool.fetchval("SELECT count(*) FROM ledger.events") == events


async def test_a_hold_that_leaves_while_it_is_corrected_leaves_the_correction(
    own_ledger: str, pool: asyncpg.Pool, damaged: asyncpg.Connection
) -> None:
    """What was decided on its record stands; that the record is not there any more changes nothing of it."""
    account_id, reservation_id = "account-00003", "open-000003"
    command = settle_usage(account_id, usage_recorded(reservation_id, prompt=40))
    state = await read_batch(damaged, [account_id], [(account_id, reservation_id)], [])
    premises, changes = state.premises(), Changes()
    submission = Submission(command=command, kind=Kind.USAGE, answer=asyncio.Future(), enqueued_at=0)
    decide_batch([submission], state, changes, roomy_policy())
    await pool.execute("UPDATE ledger.holds SET state = 'expired' WHERE reservation_id = $1", reservation_id)
    assert await retention(pool, LONG_AFTER).tidy() > 0
    appended = await append_current(damaged, premises, changes)
    assert appended is not None
    assert not appended.stale
    assert isinstance(await verify(own_ledger), Verified)
