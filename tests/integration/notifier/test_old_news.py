"""The account's state is asked again just before sending: what is no longer true is not mailed."""

from contracts.reads import BalanceAnswer
from local_run.ports import any_free
from msgspec.structs import replace
from notifier.domain.retries import RetryPolicy

from tests.integration.notifier.mailbox import Mailbox, serving
from tests.integration.notifier.stage import (
    HASTY,
    Database,
    Ledger,
    access_restored,
    event,
    running,
    settings_for,
    standing,
    threshold,
    tokens_exhausted,
)
from tests.support.eventually import eventually
from tests.support.mail_bodies import text_of


async def test_who_was_credited_while_the_mail_server_was_away_is_told_neither_to_be_out_nor_to_be_back(
    ledger: Ledger, migrated_url: str, nats_url: str, database: Database
) -> None:
    mailbox = Mailbox(port=any_free())
    async with running(settings_for(migrated_url, nats_url, mailbox.url), HASTY):
        await ledger.publish(event("credited", threshold(100)))
        await eventually(lambda: _rows(database, "credited", 1))
        await ledger.publish(event("credited", tokens_exhausted()))
        await eventually(lambda: _rows(database, "credited", 2))
        await ledger.publish(event("credited", access_restored(granted=1_049_971)))
        await eventually(lambda: _rows(database, "credited", 3))
        with serving(mailbox):
            await eventually(lambda: _has(database, "credited", ["sent", "overtaken", "overtaken"]))
    assert mailbox.kinds == ["threshold-100"]
    assert "1.049.971" in text_of(mailbox.mails[0]), "the figures are those of now"


async def test_who_was_told_to_be_out_in_the_month_before_is_told_to_be_back_in_the_new_one_and_once(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    async with running(settings_for(migrated_url, nats_url, mailbox.url), HASTY):
        await ledger.publish(event("renewed", tokens_exhausted()))
        await eventually(lambda: _has(database, "renewed", ["sent"]))
        for number in (2, 3):
            await ledger.publish(event("renewed", replace(access_restored(granted=number), cycle_id="2025-12")))
            await eventually(lambda number=number: _ended(database, "renewed", number))  # type: ignore[misc]
    assert mailbox.kinds == ["tokens-exhausted", "access-restored"]
    assert await database.statuses("renewed") == ["sent", "sent", "overtaken"]


async def _ended(database: Database, account_id: str, count: int) -> bool:
    statuses = await database.statuses(account_id)
    return len(statuses) == count and "pending" not in statuses


async def test_who_never_got_the_mail_of_being_out_is_not_told_to_be_back(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    mailbox.recipient_answers = ["550 5.1.1 no such user"]
    async with running(settings_for(migrated_url, nats_url, mailbox.url), HASTY):
        await ledger.publish(event("unheard", tokens_exhausted()))
        await eventually(lambda: _has(database, "unheard", ["failed"]))
        await ledger.publish(event("unheard", access_restored()))
        await eventually(lambda: _has(database, "unheard", ["failed", "overtaken"]))
    assert mailbox.mails == []


async def _rows(database: Database, account_id: str, count: int) -> bool:
    return len(await database.statuses(account_id)) == count


async def _has(database: Database, account_id: str, statuses: list[str]) -> bool:
    return await database.statuses(account_id) == statuses


async def test_who_is_credited_while_the_server_takes_its_time_is_not_told_to_be_out_of_tokens(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    mailbox.slow = {"meanwhile@example.com"}
    async with running(settings_for(migrated_url, nats_url, mailbox.url), HASTY):
        await ledger.publish(event("meanwhile", tokens_exhausted()))
        await eventually(lambda: mailbox.at_once == 1)
        ledger.standings["meanwhile"] = standing("meanwhile", granted=5_000)
        mailbox.slow.clear()
        await eventually(lambda: _has(database, "meanwhile", ["overtaken"]))
    assert mailbox.mails == []


async def test_a_warning_is_not_sent_under_a_limit_that_was_raised_meanwhile(
    ledger: Ledger, migrated_url: str, nats_url: str, database: Database
) -> None:
    mailbox = Mailbox(port=any_free())
    async with running(settings_for(migrated_url, nats_url, mailbox.url), HASTY):
        await ledger.publish(event("raised", threshold(80)))
        await eventually(lambda: _rows(database, "raised", 1))
        ledger.standings["raised"] = standing("raised", used=800_000, limit=4_000_000)
        with serving(mailbox):
            await eventually(lambda: _has(database, "raised", ["overtaken"]))
    assert mailbox.mails == []


async def test_a_ledger_that_says_nothing_of_the_state_delays_the_mail_and_is_believed_once_it_does(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    patient = RetryPolicy(first_delay_seconds=0.1, state_check_seconds=(0.1,) * 1_000)
    ledger.standings["moot"] = BalanceAnswer(error="store down")
    async with running(settings_for(migrated_url, nats_url, mailbox.url), patient):
        sent = event("moot", tokens_exhausted())
        await ledger.publish_raw(sent.subject, sent.payload)
        await eventually(lambda: ledger.states_asked.count("moot") >= 3)
        assert mailbox.mails == []
        ledger.standings["moot"] = standing("moot", granted=5_000)
        await eventually(lambda: _has(database, "moot", ["overtaken"]))
    assert mailbox.mails == []


async def test_a_ledger_that_never_says_the_state_silences_nobody(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    ledger.standings["unsaid"] = BalanceAnswer(error="store down")
    async with running(settings_for(migrated_url, nats_url, mailbox.url), HASTY):
        sent = event("unsaid", tokens_exhausted(limit=123_456))
        await ledger.publish_raw(sent.subject, sent.payload)
        await eventually(lambda: _has(database, "unsaid", ["sent"]))
    assert mailbox.kinds == ["tokens-exhausted"]
    assert "123.456" in text_of(mailbox.mails[0]), "the figures of the event"
    assert ledger.states_asked.count("unsaid") == 4
