"""What billing says is mailed once, by itself, however its events come; nothing about tokens swallows it."""

import asyncio
import itertools
import random
import signal
from datetime import UTC, datetime, timedelta

import pytest
from contracts.events.billing import OrderSource, PlanChange
from contracts.reads import BalanceAnswer
from local_run.ports import any_free
from notifier.domain.billing_notices import ToldBillingEvent
from notifier.domain.retries import RetryPolicy

from tests.integration.notifier.mailbox import Mailbox, serving
from tests.integration.notifier.stage import (
    HASTY,
    Database,
    Ledger,
    access_restored,
    environment_of,
    event,
    running,
    running_process,
    settings_for,
    standing,
    threshold,
    tokens_exhausted,
)
from tests.support import receipt_examples as say
from tests.support.eventually import eventually
from tests.support.mail_bodies import text_of

WINDOW = 0.5
OF_EVERY_KIND: list[tuple[str, ToldBillingEvent]] = [
    ("credits-purchased", say.purchased(order_id="o1")),
    ("top-up-done", say.purchased(order_id="o2", source=OrderSource.TOP_UP)),
    ("credits-revoked", say.revoked(revision=1)),
    ("credits-restored", say.restored(revision=2)),
    ("plan-changed", say.subscribed(revision=1)),
    ("plan-renewed", say.subscribed(PlanChange.RENEWED, revision=2)),
    ("plan-changed", say.ended(revision=3)),
    ("payment-failed", say.payment_failed(order_id="o4")),
    ("renewal-failed", say.renewal_failed(subscription_id="s2", grace_ends_at=datetime.now(UTC) + timedelta(days=3))),
    ("top-up-paused", say.top_up_paused()),
]
"""None of which makes another untrue."""


async def _all_ended(database: Database, account_id: str, count: int) -> bool:
    statuses = await database.statuses(account_id)
    return len(statuses) == count and not any(status.startswith("pending") for status in statuses)


async def _has_rows(database: Database, account_id: str, count: int) -> bool:
    return len(await database.statuses(account_id)) == count


async def test_each_event_ten_times_at_once_to_two_notifiers_in_any_order_is_one_mail(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    events = [event("ten", data) for _, data in OF_EVERY_KIND]
    ledger.standings["ten"] = standing("ten", used=0, granted=500_000)
    async with (
        running(settings_for(migrated_url, nats_url, mailbox.url)),
        running(settings_for(migrated_url, nats_url, mailbox.url)),
    ):
        orders = [random.Random(number).sample(events, len(events)) for number in range(10)]
        await asyncio.gather(*(ledger.publish(*order) for order in orders))
        await eventually(ledger.handled)
        await eventually(lambda: _all_ended(database, "ten", len(events)))
    assert sorted(mailbox.kinds) == sorted(kind for kind, _ in OF_EVERY_KIND)
    assert len({mail["Message-ID"] for mail in mailbox.mails}) == len(events)
    assert await database.statuses("ten") == ["sent"] * len(events)
    for mail in mailbox.mails:
        assert "https://solaris.example/" in text_of(mail)
        assert mail.get_body(("html",)) is not None


async def test_what_is_published_again_under_another_id_is_not_mailed_again(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        for _ in range(3):
            await ledger.publish(*(event("anew", data) for kind, data in OF_EVERY_KIND if kind != "top-up-paused"))
        await ledger.publish(event("anew", say.purchased(order_id="another")))
        await eventually(ledger.handled)
        await eventually(lambda: _all_ended(database, "anew", len(OF_EVERY_KIND)))
    assert len(mailbox.mails) == len(OF_EVERY_KIND)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_who_is_out_and_buys_gets_one_mail_that_says_both_whichever_event_comes_first(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database, *, order: tuple[int, ...]
) -> None:
    account = f"buyer-{''.join(map(str, order))}"
    async with running(settings_for(migrated_url, nats_url, mailbox.url, window_seconds=WINDOW)):
        await ledger.publish(event(account, tokens_exhausted()))
        await eventually(lambda: mailbox.kinds == ["tokens-exhausted"])
        said = [say.purchased(), say.purchased(order_id="second", tokens=7), access_restored(granted=500_000)]
        for number in order:
            await ledger.publish(event(account, said[number]))
        await eventually(lambda: _all_ended(database, account, 4))
    assert mailbox.kinds == ["tokens-exhausted", "credits-purchased", "credits-purchased"]
    assert sorted(str(mail["X-Solaris-Also"]) for mail in mailbox.mails) == ["None", "None", "access-restored"]
    assert sum("O chat voltou a funcionar" in text_of(mail) for mail in mailbox.mails) == 1
    assert "Agora você tem 500.000 tokens para usar." in text_of(mailbox.mails[1])
    assert sorted(await database.statuses(account)) == ["sent", "sent", "sent", "told"]


async def test_a_purchase_that_does_not_reach_leaves_the_mail_of_being_out_beside_it(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    async with running(settings_for(migrated_url, nats_url, mailbox.url, window_seconds=WINDOW)):
        await ledger.publish(event("short", say.purchased(tokens=10)), event("short", tokens_exhausted()))
        await eventually(lambda: _all_ended(database, "short", 2))
    assert mailbox.kinds == ["credits-purchased", "tokens-exhausted"]
    assert "ainda não basta para uma resposta no chat" in text_of(mailbox.mails[0])


async def test_the_ledger_s_word_that_comes_after_the_receipt_is_a_mail_of_its_own(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        for number, data in enumerate([tokens_exhausted(), say.purchased(), access_restored()], start=1):
            await ledger.publish(event("late-word", data))
            await eventually(lambda number=number: len(mailbox.mails) == number)  # type: ignore[misc]
    assert mailbox.kinds == ["tokens-exhausted", "credits-purchased", "access-restored"]


async def test_receipts_outlive_a_mail_server_that_is_away_for_longer_than_a_warning_lives(
    ledger: Ledger, migrated_url: str, nats_url: str, database: Database
) -> None:
    mailbox = Mailbox(port=any_free())
    async with running(settings_for(migrated_url, nats_url, mailbox.url), HASTY):
        await ledger.publish(event("days", threshold(80), age=timedelta(hours=25)))
        await ledger.publish(event("days", say.purchased(), age=timedelta(days=5)))
        await ledger.publish(event("days", say.revoked(), age=timedelta(days=4)))
        await ledger.publish(event("days", say.purchased(order_id="ancient"), age=timedelta(days=31)))
        await eventually(lambda: _has_rows(database, "days", 4))
        await eventually(ledger.handled)
        with serving(mailbox):
            await eventually(lambda: _all_ended(database, "days", 4))
    assert mailbox.kinds == ["credits-purchased", "credits-revoked"], "in the order in which it happened"
    assert sorted(await database.statuses("days")) == ["sent", "sent", "stale", "stale"]


async def test_what_was_paid_meanwhile_is_not_told_to_have_failed(
    ledger: Ledger, migrated_url: str, nats_url: str, database: Database
) -> None:
    mailbox = Mailbox(port=any_free())
    grace_ends_at = datetime.now(UTC) + timedelta(days=1)
    first, second = (say.renewal_failed(reminder, grace_ends_at=grace_ends_at) for reminder in (1, 2))
    async with running(settings_for(migrated_url, nats_url, mailbox.url), HASTY):
        await ledger.publish(event("paid", first, age=timedelta(hours=50)))
        await ledger.publish(event("paid", second, age=timedelta(hours=2)))
        await ledger.publish(event("paid", say.payment_failed(order_id="boleto"), age=timedelta(hours=1)))
        await ledger.publish(event("owing", first, age=timedelta(hours=50)))
        await ledger.publish(event("owing", second, age=timedelta(hours=2)))
        await ledger.publish(event("paid", say.subscribed(PlanChange.RENEWED, revision=2)))
        await ledger.publish(event("paid", say.purchased(order_id="boleto")))
        await eventually(ledger.handled)
        with serving(mailbox):
            await eventually(lambda: _all_ended(database, "paid", 5))
            await eventually(lambda: _all_ended(database, "owing", 2))
    told = sorted(zip(mailbox.recipients, mailbox.kinds, strict=True))
    assert told == [
        ("owing@example.com", "renewal-failed"),
        ("paid@example.com", "credits-purchased"),
        ("paid@example.com", "plan-renewed"),
    ]
    assert await database.statuses("owing") == ["overtaken", "sent"]


async def test_a_process_killed_between_storing_and_sending_loses_no_receipt(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    ledger.speechless.add("stored")
    settings = settings_for(migrated_url, nats_url, mailbox.url)
    async with running_process(environment_of(settings)) as killed:
        await ledger.publish(event("stored", say.purchased()))
        await eventually(lambda: "stored" in ledger.states_asked, 30)
        killed.send_signal(signal.SIGKILL)
        await killed.wait()
    ledger.speechless.clear()
    assert mailbox.mails == []
    async with running(settings):
        await database.end_lease("stored")
        await eventually(lambda: _all_ended(database, "stored", 1))
    assert mailbox.kinds == ["credits-purchased"]


async def test_a_process_killed_while_the_server_has_the_receipt_sends_the_same_mail_again_and_no_third(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    settings = settings_for(migrated_url, nats_url, mailbox.url, window_seconds=WINDOW)
    mailbox.hold_answers = True
    async with running_process(environment_of(settings)) as killed:
        await ledger.publish(event("taken", say.purchased()), event("taken", access_restored(granted=500_000)))
        await eventually(lambda: len(mailbox.mails) == 1, 30)
        killed.send_signal(signal.SIGKILL)
        await killed.wait()
    mailbox.hold_answers = False
    async with running(settings):
        await database.end_lease("taken")
        await eventually(lambda: _all_ended(database, "taken", 2))
    assert mailbox.kinds == ["credits-purchased"] * 2
    assert [mail["X-Solaris-Also"] for mail in mailbox.mails] == ["access-restored"] * 2
    assert mailbox.mails[0]["Message-ID"] == mailbox.mails[1]["Message-ID"]


async def test_a_receipt_waits_for_the_ledger_to_have_heard_of_it_and_shows_what_there_is_then(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    patient = RetryPolicy(state_check_seconds=(0.1,) * 1_000)
    ledger.behind.add("behind")
    ledger.standings["behind"] = standing("behind", granted=3)
    async with running(settings_for(migrated_url, nats_url, mailbox.url), patient):
        await ledger.publish(event("behind", say.purchased()))
        await eventually(lambda: ledger.states_asked.count("behind") >= 3)
        assert mailbox.mails == []
        await ledger.publish(event("behind", access_restored(granted=500_003)))
        await eventually(lambda: _has_rows(database, "behind", 2))
        ledger.behind.clear()
        await eventually(lambda: _all_ended(database, "behind", 2))
    assert mailbox.kinds == ["credits-purchased"]
    assert mailbox.mails[0]["X-Solaris-Also"] == "access-restored"
    assert "Agora você tem 500.003 tokens para usar." in text_of(mailbox.mails[0])


async def test_a_ledger_that_never_hears_of_it_silences_no_receipt_and_shows_no_figures_without_it(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    ledger.behind.add("deaf")
    async with running(settings_for(migrated_url, nats_url, mailbox.url), HASTY):
        await ledger.publish(event("deaf", say.revoked()))
        await eventually(lambda: _all_ended(database, "deaf", 1))
    assert mailbox.kinds == ["credits-revoked"]
    assert "500.000" not in text_of(mailbox.mails[0])


async def test_a_ledger_that_never_says_the_balance_silences_no_receipt(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    ledger.standings["mute"] = BalanceAnswer(error="store down")
    async with running(settings_for(migrated_url, nats_url, mailbox.url), HASTY):
        await ledger.publish(event("mute", say.purchased()))
        await eventually(lambda: _all_ended(database, "mute", 1))
    text = text_of(mailbox.mails[0])
    assert "R$ 74,90" in text
    assert "Agora você tem" not in text
    assert "Seu saldo agora" not in text
    assert ledger.states_asked.count("mute") == 4
