"""Days that are over are reconciled once, by whoever asks first, with the projector's rights; the old is deleted."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest_asyncio

from tests.integration.ledger.reconciliation.conftest import Calls
from tests.support.ledger_operate import Operate, operate_on

TWO_DAYS = timedelta(days=2)


@pytest_asyncio.fixture
async def as_projector(ledger_url: str) -> Operate:
    return operate_on(f"{ledger_url}?role=solaris_projector")


async def test_where_nobody_ever_told_anything_nothing_is_due(as_projector: Operate) -> None:
    ran = await as_projector("reconcile", due=1)
    assert ran.code == 0, ran
    assert ran.json["latest"] == []
    assert 0 < ran.json["due_in_seconds"] <= 86_400


async def test_each_day_is_reconciled_once_whoever_asks(
    calls: Calls, as_projector: Operate, connection: asyncpg.Connection
) -> None:
    calls.began_at = datetime.now(UTC).replace(hour=12) - TWO_DAYS
    await calls.settled("night-1")
    await calls.told("night-1")
    await calls.settled("night-2")
    calls.began_at -= timedelta(days=60)
    await calls.told("of-old")
    asked = await asyncio.gather(*(as_projector("reconcile", due=1) for _ in range(3)))
    assert {ran.code for ran in asked} == {0}, asked
    (latest,) = [run for run in (await as_projector("reconcile", due=1)).json["latest"] if run["trigger"] == "nightly"]
    assert latest["source"] == "litellm"
    nights = await connection.fetch(
        "SELECT first_day, count(*) AS runs, max(difference_percent) AS most FROM reconciliation.runs"
        " WHERE trigger = 'nightly' GROUP BY first_day"
    )
    assert {row["runs"] for row in nights} == {1}
    assert {row["first_day"]: row["most"] for row in nights}[(datetime.now(UTC) - TWO_DAYS).date()] == 50
    # Sums and findings stay as they were told, when the calls of before are no longer kept.
    kept = await as_projector("reconcile", environment={"SOLARIS_RECONCILE_KEEP_DAYS": "40"}, due=1)
    assert kept.code == 0
    left = await connection.fetch("SELECT call_id FROM reconciliation.calls ORDER BY call_id")
    assert [row[0] for row in left] == ["night-1"]


async def test_the_day_on_which_litellm_begins_to_tell_is_not_taken_for_a_whole_one(
    calls: Calls, as_projector: Operate, connection: asyncpg.Connection
) -> None:
    await connection.execute("DELETE FROM reconciliation.runs; DELETE FROM reconciliation.calls")
    calls.began_at = datetime.now(UTC).replace(hour=12) - timedelta(days=3)
    await calls.told("begins-1")
    assert (await as_projector("reconcile", due=1)).code == 0
    nights = {row[0] for row in await connection.fetch("SELECT first_day FROM reconciliation.runs")}
    begun = calls.began_at.date()
    assert begun not in nights
    assert begun + timedelta(days=1) in nights


async def test_days_of_which_events_have_left_are_not_taken_for_days_without_calls(
    calls: Calls, as_projector: Operate, connection: asyncpg.Connection, day: str
) -> None:
    """The last of this file: it takes away what others need."""
    await calls.settled("first-1")
    first: int = await connection.fetchval("SELECT min(position) FROM ledger.events WHERE version > 1")
    part: str = await connection.fetchval(
        "SELECT tableoid::regclass::text FROM ledger.events WHERE position = $1", first
    )
    await connection.execute(f"ALTER TABLE {part} DISABLE TRIGGER history_never_changes")
    await connection.execute(f"DELETE FROM {part} WHERE position < $1", first)
    refused = await as_projector("reconcile", from_=day, to=day)
    refused.assert_refused(1)
    assert "has no events before" in refused.err
