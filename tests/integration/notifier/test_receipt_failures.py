"""What of billing can't be read or sent is kept and can be retried; what is kept of a person's receipts is theirs."""

import asyncio
import json
from pathlib import Path

import pytest
from contracts.events.billing import OrderSource
from contracts.profiles import Profile
from contracts.reads import ProfileAnswer
from local_run.ports import any_free
from local_run.servers.nats_server import running_nats

from tests.integration.notifier.mailbox import Mailbox, serving
from tests.integration.notifier.stage import (
    HASTY,
    Database,
    Ledger,
    event,
    playing_ledger,
    running,
    settings_for,
    threshold,
)
from tests.integration.notifier.verbs import CONSUMERS, fails, operate, read
from tests.support import receipt_examples as say
from tests.support.eventually import eventually
from tests.support.mail_bodies import text_of


async def _has(database: Database, account_id: str, statuses: list[str]) -> bool:
    return await database.statuses(account_id) == statuses


async def test_poison_becomes_one_dead_letter_and_stops_no_receipt(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    good = event("poisoned", say.purchased())
    nonsense = [
        b"",
        b"not json",
        good.payload.replace(b"credits_purchased.v1", b"credits_purchased.v2"),
        good.payload.replace(b"billing.credits_purchased", b"billing.invoice_sent"),
        good.payload.replace(b"billing.credits_purchased", b"ledger.tokens_exhausted"),
        good.payload.replace(b'"amount_minor":7490', b'"amount_minor":74.9'),
        good.payload.replace(b'"amount_minor":7490', b'"amount_minor":-1'),
        good.payload.replace(b'"currency":"brl"', b'"currency":"R$"'),
        good.payload.replace(b'"source":"package"', b'"source":"gift"'),
        good.payload.replace(b'"package_id":"small"', b'"package_id":"' + b"s" * 257 + b'"'),
        good.payload.replace(b'"package_id":"small"', b'"package_id":"a\\u0000b"'),
        good.payload.replace(b'"subject":"poisoned"', b'"subject":"a\\r\\nb"'),
        good.payload.replace(b'"expires_at":null', b'"expires_at":"2026-12-01T00:00:00"'),
        good.payload.replace(b'"expires_at":null', b'"expires_at":"9999-12-01T00:00:00Z"'),
    ]
    assert len({*nonsense, good.payload}) == len(nonsense) + 1
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        before = len(await database.rows("SELECT id FROM notifier.dead_letters"))
        for payload in nonsense * 2:
            await ledger.publish_raw(good.subject, payload)
        await ledger.publish(good)
        await eventually(ledger.handled)
        await eventually(lambda: mailbox.kinds == ["credits-purchased"])
    letters = await database.rows("SELECT * FROM notifier.dead_letters ORDER BY id OFFSET $1", before)
    assert sorted(letter["payload"] for letter in letters) == sorted(nonsense)
    assert {letter["consumer"] for letter in letters} == {"notifier-billing"}
    assert all(letter["reason"] and "small" not in letter["reason"] for letter in letters)


async def test_what_a_new_release_can_read_is_mailed_once_when_it_is_retried(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    good = event("repaired", say.purchased())
    await database.rows("DELETE FROM notifier.dead_letters")
    await database.rows(
        "INSERT INTO notifier.dead_letters (consumer, message_id, subject, payload, reason) "
        "VALUES ('notifier-billing', 'poison:y', $1, $2, 'an older release')",
        good.subject,
        good.payload,
    )
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        code, (retried,) = await operate(migrated_url, "dead-letters-retry")
        assert (code, retried["retried"]) == (0, True)
        await eventually(lambda: _has(database, "repaired", ["sent"]))
        await ledger.publish(good, times=2)
        await eventually(ledger.handled)
        await operate(migrated_url, "dead-letters-retry", id=retried["id"])
    assert mailbox.kinds == ["credits-purchased"]


async def test_a_receipt_given_up_is_a_dead_letter_that_says_what_it_told_and_can_be_sent_once_more(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        mailbox.recipient_answers = ["550 5.1.1 <refused@example.com> no such user"]
        await ledger.publish(event("refused", say.subscribed()))
        await eventually(lambda: _has(database, "refused", ["failed"]))
        letter = await database.last_dead_letter()
        assert letter is not None
        assert (letter["consumer"], letter["reason"]) == ("notifier-mail", "smtp recipient 550 5.1.1")
        assert letter["subject"] == "solaris.billing.plan_subscribed.refused"
        (told,) = json.loads(letter["payload"])
        assert (told["kind"], told["data"]["plan"]) == ("plan-changed", "premium")
        assert b"example.com" not in letter["payload"]

        await operate(migrated_url, "dead-letters-retry", id=f"notifier:{letter['id']}")
        await eventually(lambda: _has(database, "refused", ["sent"]))
    assert mailbox.kinds == ["plan-changed"]


async def test_who_has_no_address_has_no_receipt_and_holds_up_nobody(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    ledger.profiles["homeless"] = ProfileAnswer(profile=None)
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        await ledger.publish(event("homeless", say.purchased()), event("housed", say.purchased()))
        await eventually(lambda: _has(database, "homeless", ["no_address"]))
        await eventually(lambda: _has(database, "housed", ["sent"]))
    assert mailbox.recipients == ["housed@example.com"]


async def test_an_export_has_a_persons_receipts_without_who_paid_and_forgetting_sends_none(
    ledger: Ledger, migrated_url: str, nats_url: str, database: Database
) -> None:
    mailbox = Mailbox(port=any_free())
    async with running(settings_for(migrated_url, nats_url, mailbox.url), HASTY):
        await ledger.publish(event("person", say.purchased(payer_id="benefactor")), event("other", say.purchased()))
        await eventually(lambda: _has(database, "person", ["pending_alone"]))
        code, (line,) = await operate(migrated_url, "export", account="person")
        assert code == 0
        (kept,) = line["mails"]
        assert isinstance(kept, dict)
        assert (kept["kind"], kept["details"]["amount_minor"]) == ("credits-purchased", 7_490)
        assert "benefactor" not in json.dumps(kept)
        erased = await operate(migrated_url, "forget", account="person")
        assert erased == (0, [{"account_id": "person", "mails_erased": 1, "letters_erased": 0}])
        with serving(mailbox):
            await eventually(lambda: mailbox.recipients == ["other@example.com"])
    assert await database.statuses("person") == []


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("<b>Ana</b>", "<img src=x onerror=alert(1)>"),
        ("Ana\r\nBcc: all@example.com", "small\r\nX-Evil: 1"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}anA", "\N{RIGHT-TO-LEFT OVERRIDE}llams"),
        ("A" * 200, "s" * 200),
    ],
)
async def test_hostile_names_reach_no_header_and_no_markup(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, *, name: str, package: str
) -> None:
    account = f"hostile-{len(name)}"
    ledger.profiles[account] = ProfileAnswer(profile=Profile(email=f"{account}@example.com", name=name, locale="en"))
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        await ledger.publish(event(account, say.purchased(package_id=package, source=OrderSource.TOP_UP)))
        await eventually(lambda: len(mailbox.mails) == 1)
    (mail,) = mailbox.mails
    assert (mail["Bcc"], mail["X-Evil"]) == (None, None)
    assert mailbox.recipients == [f"{account}@example.com"]
    html = mail.get_body(("html",))
    assert html is not None
    whole = text_of(mail) + str(html.get_content()) + str(mail["Subject"])
    for trace in (name, package, "<img", "Bcc", "X-Evil", "\N{RIGHT-TO-LEFT OVERRIDE}"):
        assert trace not in whole


async def test_a_stream_of_billing_that_is_lost_is_told_and_its_mails_come_once_it_is_back(
    mailbox: Mailbox, migrated_url: str, tmp_path: Path
) -> None:
    async with running_nats(tmp_path / "nats", port=any_free()) as server, playing_ledger(server.url()) as ledger:
        settings = settings_for(migrated_url, server.url("notifier"), mailbox.url)
        async with running(settings):
            await eventually(lambda: fails(settings.notifier_port, CONSUMERS))
            await ledger.provision()
            await eventually(lambda: fails(settings.notifier_port, set()))
            await ledger.client.jetstream(timeout=10).delete_stream("BILLING")
            await eventually(lambda: fails(settings.notifier_port, {"billing_consumer"}))
            await ledger.publish(event("meanwhile", threshold(80)))
            await eventually(lambda: mailbox.kinds == ["threshold-80"])
            await ledger.provision()
            await eventually(lambda: fails(settings.notifier_port, set()))
            await ledger.publish(event("back-again", say.purchased()))
            await eventually(lambda: mailbox.kinds == ["threshold-80", "credits-purchased"])
            _, metrics = await asyncio.to_thread(read, settings.notifier_port, "/metrics")
    assert 'solaris_notifier_mails_sent_total{kind="credits-purchased"}' in metrics
    assert 'solaris_consumed_messages_total{consumer="notifier-billing",outcome="handled"}' in metrics
