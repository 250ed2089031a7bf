"""However often an event is delivered and however many notifiers run: one mail per key."""

import asyncio
from datetime import timedelta

from tests.integration.notifier.mailbox import Mailbox
from tests.integration.notifier.stage import (
    Database,
    Ledger,
    allowance_exhausted,
    event,
    running,
    settings_for,
    threshold,
    tokens_exhausted,
)
from tests.support.eventually import eventually


async def test_ten_deliveries_to_two_notifiers_send_one_mail_per_kind(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    events = [event("ten", threshold(percent)) for percent in (80, 90, 95, 100)]
    async with (
        running(settings_for(migrated_url, nats_url, mailbox.url)),
        running(settings_for(migrated_url, nats_url, mailbox.url)),
    ):
        await asyncio.gather(*(ledger.publish(*events) for _ in range(10)))
        await eventually(ledger.handled)
        await eventually(lambda: len(mailbox.mails) >= 4)
        await eventually(lambda: _all_sent(database, "ten"))
    assert sorted(mailbox.kinds) == ["threshold-100", "threshold-80", "threshold-90", "threshold-95"]
    assert set(mailbox.recipients) == {"ten@example.com"}


async def _all_sent(database: Database, account_id: str) -> bool:
    statuses = await database.statuses(account_id)
    return bool(statuses) and set(statuses) == {"sent"}


async def test_republished_events_tell_nothing_again(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str
) -> None:
    events = [event("again", threshold(80)), event("again", tokens_exhausted())]
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        await ledger.publish(*events)
        await eventually(lambda: len(mailbox.mails) == 2)
        await ledger.delete_stream()
        await ledger.provision()
        await ledger.publish(*events, times=3)
        later = event("again-later", threshold(90))
        await ledger.publish(later)
        await eventually(lambda: "threshold-90" in mailbox.kinds, 20)
        await eventually(ledger.handled)
    assert sorted(mailbox.kinds) == ["threshold-80", "threshold-90", "tokens-exhausted"]


async def test_the_same_threshold_tells_again_only_under_another_limit_or_cycle(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str
) -> None:
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        await ledger.publish(event("key", threshold(80)), event("key", threshold(80)))
        await eventually(lambda: len(mailbox.mails) == 1)
        await ledger.publish(event("key", threshold(80, limit=2_000_000)))
        await eventually(lambda: len(mailbox.mails) == 2)
        await ledger.publish(event("key", threshold(80, cycle="2025-12")))
        await eventually(lambda: len(mailbox.mails) >= 3)
        await eventually(ledger.handled)
    assert mailbox.kinds == ["threshold-80"] * 3
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == 3


async def test_exhausted_allowance_is_one_mail_at_100_percent_and_being_out_one_more_each_time(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str
) -> None:
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        await ledger.publish(event("out", threshold(100)), event("out", allowance_exhausted(announced=True)))
        await ledger.publish(event("out-custom", allowance_exhausted(announced=False)))
        await ledger.publish(event("out", tokens_exhausted()))
        await eventually(lambda: len(mailbox.mails) == 3)
        await ledger.publish(event("out", tokens_exhausted()))
        await eventually(lambda: len(mailbox.mails) >= 4)
        await eventually(ledger.handled)
    assert sorted(mailbox.kinds) == ["allowance-exhausted", "threshold-100", "tokens-exhausted", "tokens-exhausted"]


async def test_old_warnings_are_not_sent(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        await ledger.publish(event("stale", threshold(80), age=timedelta(hours=25)))
        await eventually(lambda: _is(database, "stale", ["stale"]))
    assert mailbox.mails == []


async def _is(database: Database, account_id: str, statuses: list[str]) -> bool:
    return await database.statuses(account_id) == statuses
