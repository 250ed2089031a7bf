"""A hold that was charged is usage until its figures come: then these are, in the quarter hour of the call."""

from datetime import datetime

import asyncpg
from contracts.usage import Outcome
from ledger.application.submission import Kind
from ledger.domain.commands import ExpireReservation
from ledger.operate.executing import open_executor
from ledger.settings import LedgerSettings

from tests.support.gateway_messages import usage_recorded
from tests.support.ledger_commands import settle_usage
from tests.support.ledger_history import roomy_policy
from tests.support.ledger_operate import operate_on
from tests.support.projecting import assert_usage_is_right, caught_up, live_track, projecting


async def test_an_estimate_stands_until_usage_comes_and_leaves_nothing_behind(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    holds = await damaged.fetch("SELECT account_id, reservation_id FROM ledger.holds WHERE state = 'open' ORDER BY 2")
    (known, known_id), (free, free_id), (unknown, unknown_id) = holds[:3]
    settings = LedgerSettings(database_url=own_ledger)
    async with projecting(own_ledger), open_executor(settings, roomy_policy(), damaged) as executor:
        for account_id, reservation_id in holds[:3]:
            expire = ExpireReservation(account_id=account_id, reservation_id=reservation_id)
            await executor.submit(expire, Kind.SWEEPER)
        await caught_up(damaged)
        assert await _unsettled(damaged) == {known: 1, free: 1, unknown: 1}
        await assert_usage_is_right(damaged)

        began_at = datetime.fromisoformat("2026-03-02T12:01:00Z")
        late = usage_recorded(known_id, prompt=70, completion=7, started_at=began_at)
        await executor.submit(settle_usage(known, late), Kind.USAGE)
        never = usage_recorded(free_id, outcome=Outcome.NOT_FORWARDED, started_at=began_at)
        await executor.submit(settle_usage(free, never), Kind.USAGE)
        await caught_up(damaged)
        assert await _unsettled(damaged) == {unknown: 1}
        row = await damaged.fetchrow(
            "SELECT calls, prompt_tokens, starts_at FROM projections.usage WHERE account_id = $1 AND model = $2",
            *(known, late.model),
        )
        assert row is not None
        assert (row[0], row[1], row[2].isoformat()) == (1, 70, "2026-03-02T12:00:00+00:00")
        await assert_usage_is_right(damaged)
    track = await live_track(damaged)
    assert track is not None
    left = await damaged.fetch(f"SELECT reservation_id FROM projections.usage_v{track[1]}_{track[0]}_estimates")
    assert [each[0] for each in left] == [unknown_id]
    assert await damaged.fetchval("SELECT count(*) FROM projections.usage WHERE calls <= 0") == 0
    assert (await operate_on(own_ledger)("replay", projection="usage")).code == 0


async def _unsettled(connection: asyncpg.Connection) -> dict[str, int]:
    rows = await connection.fetch(
        "SELECT account_id, sum(unsettled_calls)::int FROM projections.usage GROUP BY 1 HAVING sum(unsettled_calls) > 0"
    )
    return {row[0]: row[1] for row in rows}
