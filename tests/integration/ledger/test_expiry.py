"""Holds whose usage does not come, or comes late: charged, never forgiven, corrected once."""

import asyncio
import time

import pytest_asyncio
from contracts.usage import Outcome

from tests.integration.ledger.conftest import Conversation, LedgerProcess
from tests.support.eventually import eventually

TTL_SECONDS = 2


@pytest_asyncio.fixture(scope="module", autouse=True)
async def short_holds(ledger: LedgerProcess) -> None:
    await ledger.stop()
    ledger.environment["SOLARIS_HOLD_TTL_SECONDS"] = str(TTL_SECONDS)
    await ledger.start()


async def event_types(gateway: Conversation, account_id: str) -> list[str]:
    rows = await gateway.database.fetch(
        "SELECT type FROM ledger.events WHERE account_id = $1 ORDER BY position", account_id
    )
    return [row["type"].removeprefix("solaris.ledger.").removesuffix(".v1") for row in rows]


async def test_a_hold_without_usage_is_charged_in_full_and_late_usage_corrects_it(gateway: Conversation) -> None:
    await gateway.reserve("late", reservation_id="r-late")
    await gateway.settled("late", 200)
    assert "reservation_expired" in await event_types(gateway, "late")
    event = await gateway.record("late", "r-late", prompt=60, completion=5)
    balance = await gateway.settled("late", 65)
    assert balance.debt == 0
    await gateway.publish(event, message_id="late-again")
    await gateway.record("late", "r-late-2", outcome=Outcome.NOT_FORWARDED)
    await eventually(lambda: _has(gateway, "late", "reservation_released"), 10)
    assert (await gateway.balance("late")).monthly_used == 65


async def test_late_news_that_nothing_was_forwarded_gives_the_charge_back(gateway: Conversation) -> None:
    await gateway.reserve("never", reservation_id="r-never")
    await gateway.settled("never", 200)
    await gateway.record("never", "r-never", outcome=Outcome.NOT_FORWARDED)
    assert (await gateway.settled("never", 0)).available == 1_000_000


async def test_a_ledger_that_was_down_past_the_deadline_reads_its_backlog_first(
    gateway: Conversation, ledger: LedgerProcess
) -> None:
    ids = [f"r-backlog-{number}" for number in range(40)]
    await asyncio.gather(*(gateway.reserve("backlog", reservation_id=each) for each in ids))
    await ledger.kill()
    for each in ids:
        await gateway.record("backlog", each, prompt=10, completion=1)
    deadline = time.monotonic() + TTL_SECONDS + 0.5
    await eventually(lambda: time.monotonic() > deadline, TTL_SECONDS + 5)
    await ledger.start()
    await gateway.settled("backlog", 11 * len(ids))
    assert "reservation_expired" not in await event_types(gateway, "backlog")


async def _has(gateway: Conversation, account_id: str, event_type: str) -> bool:
    return event_type in await event_types(gateway, account_id)


async def test_accounts_that_can_t_be_brought_up_to_date_keep_none_behind_them_waiting(
    gateway: Conversation,
) -> None:
    await gateway.database.execute(
        """
        INSERT INTO ledger.accounts (account_id, version, state, due_at)
        SELECT 'unreadable-' || n, 1, '{"account_id": 1}', TIMESTAMPTZ '2020-01-01 00:00Z'
        FROM generate_series(1, 600) AS n
        """
    )
    await gateway.reserve("behind", reservation_id="r-behind")
    await gateway.record("behind", "r-behind", prompt=5)
    await gateway.settled("behind", 5)
    # Its cycle is made to have ended, behind 600 that are due before it and stay so.
    await gateway.database.execute(
        """
        UPDATE ledger.accounts SET due_at = now() - interval '1 minute',
            state = jsonb_set(state::jsonb, '{cycle,ends_at}', to_jsonb(now() - interval '1 minute'))::json
        WHERE account_id = 'behind'
        """
    )
    await eventually(lambda: _has(gateway, "behind", "cycle_started"), 20)
    await gateway.database.execute("DELETE FROM ledger.accounts WHERE account_id LIKE 'unreadable-%'")
