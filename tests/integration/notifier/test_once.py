"""However often an event is delivered and however many notifiers run: one mail per key."""

import asyncio
from datetime import timedelta
from email.message import EmailMessage

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


async def test_ten_deliveries_to_two_notifiers_tell_each_kind_once(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    events = [event("ten", threshold(percent)) for percent in (80, 90, 95, 100)]
    async with (
        running(settings_for(migrated_url, nats_url, mailbox.url)),
        running(settings_for(migrated_url, nats_url, mailbox.url)),
    ):
        await asyncio.gather(*(ledger.publish(*events) for _ in range(10)))
        await eventually(ledger.handled)
        await eventually(lambda: _all_ended(database, "ten", 4))
    told = [kind for mail in mailbox.mails for kind in _named(mail)]
    assert len(told) == len(set(told))
    # One whose event came late is not told after a higher one.
    ended = await database.rows("SELECT kind FROM notifier.messages WHERE account_id = 'ten' AND status <> 'overtaken'")
    assert set(told) == {row["kind"] for row in ended} >= {"threshold-100"}
    assert set(mailbox.recipients) == {"ten@example.com"}


def _named(mail: EmailMessage) -> list[str]:
    """All kinds that the mail tells."""
    return [str(mail["X-Solaris-Kind"]), *filter(None, str(mail["X-Solaris-Also"] or "").split(", "))]


async def _all_ended(database: Database, account_id: str, count: int) -> bool:
    statuses = await database.statuses(account_id)
    return len(statuses) == count and "pending" not in statuses


async def test_republished_events_tell_nothing_again(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str
) -> None:
    events = [event("again", threshold(80)), event("again", tokens_exhausted())]
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        for number, each in enumerate(events, start=1):
            await ledger.publish(each)
            await eventually(lambda number=number: len(mailbox.mails) == number)  # type: ignore[misc]
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
        await eventually(lambda: len(mailbox.mails) == 2)
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
