"""What fails, and comes back: SMTP, the ledger, the process itself; and what is given up for good."""

import json
import signal
from collections.abc import Mapping

import asyncpg
import pytest
from chassis.operators import operator
from chassis.postgres import create_engine
from contracts.profiles import Profile
from contracts.reads import ProfileAnswer
from local_run.ports import any_free
from notifier.application import outcomes
from notifier.domain.retries import RetryPolicy
from notifier.store import mails
from notifier.store.tables import LETTERS
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.integration.notifier.mailbox import Mailbox, serving
from tests.integration.notifier.stage import (
    Database,
    Ledger,
    environment_of,
    event,
    running,
    running_process,
    settings_for,
    threshold,
)
from tests.integration.notifier.verbs import operate
from tests.support.eventually import eventually


async def test_mails_wait_for_a_mail_server_that_is_down(
    ledger: Ledger, migrated_url: str, nats_url: str, database: Database
) -> None:
    mailbox = Mailbox(port=any_free())
    patient = RetryPolicy(first_delay_seconds=0.1, longest_delay_seconds=0.3, max_attempts=1000)
    async with running(settings_for(migrated_url, nats_url, mailbox.url), patient):
        await ledger.publish(event("down", threshold(80)))
        await eventually(lambda: _postponed(database, "down"))
        with serving(mailbox):
            await eventually(lambda: _has(database, "down", ["sent"]))
    assert mailbox.kinds == ["threshold-80"]


async def _postponed(database: Database, account_id: str) -> bool:
    rows = await database.rows("SELECT status, last_error FROM notifier.messages WHERE account_id = $1", account_id)
    return [row["status"] for row in rows] == ["pending"] and rows[0]["last_error"] is not None


async def _has(database: Database, account_id: str, statuses: list[str]) -> bool:
    return await database.statuses(account_id) == statuses


async def test_a_passing_refusal_is_tried_again_and_a_final_one_is_not(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        mailbox.recipient_answers = ["451 4.7.1 greylisted, try later"]
        await ledger.publish(event("passing", threshold(80)))
        await eventually(lambda: _has(database, "passing", ["sent"]))

        mailbox.recipient_answers = ["550 5.1.1 <final@example.com> no such user"]
        await ledger.publish(event("final", threshold(80)))
        await eventually(lambda: _has(database, "final", ["failed"]))
    letter = await database.last_dead_letter()
    assert letter is not None
    assert (letter["consumer"], letter["reason"]) == ("notifier-mail", "smtp recipient 550 5.1.1")
    assert b"example.com" not in letter["payload"]
    assert mailbox.recipients == ["passing@example.com"]


async def test_an_address_in_utf8_is_written_to_or_becomes_a_dead_letter_that_says_what_is_missing(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    for account in ("offered", "missing"):
        ledger.profiles[account] = ProfileAnswer(profile=Profile(email="jörg@faß.example", name="Jörg", locale="en"))
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        await ledger.publish(event("offered", threshold(80)))
        await eventually(lambda: _has(database, "offered", ["sent"]))
    assert mailbox.recipients == ["jörg@xn--fa-hia.example"]
    with serving(Mailbox(port=any_free(), takes_utf8=False)) as ascii_only:
        async with running(settings_for(migrated_url, nats_url, ascii_only.url)):
            await ledger.publish(event("missing", threshold(80)))
            await eventually(lambda: _has(database, "missing", ["failed"]))
    assert ascii_only.mails == []
    letter = await database.last_dead_letter()
    assert letter is not None
    assert letter["reason"] == "smtp recipient needs SMTPUTF8, which the mail server does not offer"


async def test_a_mail_refused_too_often_becomes_a_dead_letter_and_can_be_retried(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        mailbox.data_answers = ["451 4.3.0 disk full"] * 4
        await ledger.publish(event("often", threshold(80)))
        await eventually(lambda: _has(database, "often", ["failed"]))
        letter = await database.last_dead_letter()
        assert letter is not None
        assert letter["reason"] == "smtp data 451 4.3.0"

        code, lines = await operate(migrated_url, "dead-letters-retry", id=f"notifier:{letter['id']}")
        assert (code, lines) == (0, [{"id": f"notifier:{letter['id']}", "retried": True, "reason": None}])
        await eventually(lambda: _has(database, "often", ["sent"]))
        code, _ = await operate(migrated_url, "dead-letters-retry", id=f"notifier:{letter['id']}")
        assert code == 1
    assert mailbox.kinds == ["threshold-80"]


async def test_poison_becomes_one_dead_letter_and_stops_nothing(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    good = event("poison", threshold(80))
    nonsense = [
        b"",
        b"not json",
        b"[]",
        b'{"type": "solaris.ledger.unknown.v1"}',
        good.payload.replace(b'"percent":80', b'"percent":"many"'),
        good.payload.replace(b"2025-11", b"nul\\u0000"),
        good.payload.replace(b'"subject":"poison"', b'"subject":"no account"'),
        b"\xff\xfe" * 100,
        b'{"type":"\xff"}',
        b'{"data":' + b"[" * 100_000,
    ]
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        before = len(await database.rows("SELECT id FROM notifier.dead_letters"))
        heard = await ledger.overhear("solaris.deadletter.notifier.notifier-ledger")
        for payload in nonsense * 3:
            await ledger.publish_raw(good.subject, payload)
        await ledger.publish(good)
        await eventually(ledger.handled)
        await eventually(lambda: mailbox.kinds == ["threshold-80"])
        letters = await database.rows("SELECT * FROM notifier.dead_letters ORDER BY id OFFSET $1", before)
        await eventually(lambda: len(heard) == len(nonsense))
    assert sorted(letter["payload"] for letter in letters) == sorted(nonsense)
    assert all(letter["reason"] for letter in letters)
    assert {json.loads(announcement.data)["service"] for announcement in heard} == {"notifier"}

    code, lines = await operate(migrated_url, "dead-letters")
    assert code == 0
    listed = [line for line in lines if line["id"] in {f"notifier:{letter['id']}" for letter in letters}]
    assert len(listed) == len(nonsense)
    assert set(listed[0]) == {
        "id",
        "service",
        "consumer",
        "subject",
        "reason",
        "failed_at",
        "retried_at",
        "discarded",
        "payload",
    }


async def test_a_dead_letter_that_can_never_succeed_is_put_away_and_waits_no_more(
    migrated_url: str, database: Database
) -> None:
    (row,) = await database.rows(
        "INSERT INTO notifier.dead_letters (consumer, message_id, subject, payload, reason) "
        "VALUES ('notifier-ledger', 'poison:hopeless', 'solaris.ledger.x', 'nonsense', 'it broke') RETURNING id"
    )
    letter = f"notifier:{row['id']}"
    engine = create_engine(migrated_url, service="test")
    before = await LETTERS.count_waiting(engine)
    assert await operate(migrated_url, "dead-letters-discard", id=letter, reason="  ") == (2, [])
    done = await operate(migrated_url, "dead-letters-discard", id=letter, reason="não dá")
    assert done == (0, [{"id": letter, "discarded": True}])
    assert await LETTERS.count_waiting(engine) == before - 1
    await engine.dispose()
    _, lines = await operate(migrated_url, "dead-letters")
    discarded = {line["id"]: line for line in lines}[letter]["discarded"]
    assert isinstance(discarded, dict)
    assert (discarded["by"], discarded["reason"]) == (operator(), "não dá")
    code, (stays,) = await operate(migrated_url, "dead-letters-retry", id=letter)
    assert (code, stays["retried"]) == (1, False)
    assert await operate(migrated_url, "dead-letters-discard", id=letter, reason="again") == (1, [])


async def test_poison_that_a_new_release_can_read_is_redelivered_once(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    good = event("repaired", threshold(80))
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        await database.rows("DELETE FROM notifier.dead_letters")
        await ledger.publish_raw(good.subject, b"never readable")
        await eventually(lambda: _some_dead_letter(database))
        # As an older release would have left it: a payload in the dead letters that this one understands.
        await database.rows(
            "INSERT INTO notifier.dead_letters (consumer, message_id, subject, payload, reason) "
            "VALUES ('notifier-ledger', 'poison:x', $1, $2, 'an older release')",
            good.subject,
            good.payload,
        )
        code, lines = await operate(migrated_url, "dead-letters-retry")
        assert code == 1, "one of the two failed again"
        assert sorted((line["retried"], line["reason"] is None) for line in lines) == [(False, False), (True, True)]
        await eventually(lambda: mailbox.kinds == ["threshold-80"])
        await ledger.publish(good, times=3)
        await eventually(ledger.handled)
        await operate(migrated_url, "dead-letters-retry")
    assert mailbox.kinds == ["threshold-80"]


async def _some_dead_letter(database: Database) -> bool:
    return await database.last_dead_letter() is not None


async def test_operating_without_a_database_or_with_a_wrong_id_is_one_line_and_exit_1(migrated_url: str) -> None:
    assert await operate("postgresql://nobody@127.0.0.1:1/none", "dead-letters") == (1, [])
    assert await operate(migrated_url, "dead-letters-retry", id="ledger:3") == (2, [])


async def test_a_ledger_that_does_not_answer_delays_the_mail(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    ledger.profiles["silent"] = ProfileAnswer(error="store down")
    patient = RetryPolicy(first_delay_seconds=0.1, longest_delay_seconds=0.2, max_attempts=1000)
    async with running(settings_for(migrated_url, nats_url, mailbox.url), patient):
        await ledger.publish(event("silent", threshold(80)))
        await eventually(lambda: _postponed(database, "silent"))
        del ledger.profiles["silent"]
        await eventually(lambda: _has(database, "silent", ["sent"]))
    assert mailbox.recipients == ["silent@example.com"]


async def test_a_late_profile_is_found_and_a_missing_or_forged_address_ends_quietly(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    forged = Profile(email="a@example.com\r\nBcc: everyone@example.com", name="x\r\nSubject: free", locale="en")
    ledger.profiles["late"] = ProfileAnswer(profile=None)
    ledger.profiles["nobody"] = ProfileAnswer(profile=Profile(name="No address"))
    ledger.profiles["forged"] = ProfileAnswer(profile=forged)
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        await ledger.publish(*(event(account, threshold(80)) for account in ("late", "nobody", "forged")))
        await eventually(lambda: "late" in ledger.asked)
        ledger.profiles["late"] = ProfileAnswer(profile=Profile(email="late@example.com", locale="en-US"))
        await eventually(lambda: _has(database, "late", ["sent"]))
        await eventually(lambda: _has(database, "nobody", ["no_address"]))
        await eventually(lambda: _has(database, "forged", ["no_address"]))
    assert mailbox.recipients == ["late@example.com"]
    assert mailbox.mails[0]["Content-Language"] == "en"
    assert ledger.asked.count("nobody") == 4


async def test_a_process_killed_between_sending_and_remembering_sends_the_same_message_id_again(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    variables = environment_of(settings_for(migrated_url, nats_url, mailbox.url))
    mailbox.hold_answers = True
    async with running_process(variables) as process:
        await ledger.publish(event("killed", threshold(80)))
        await eventually(lambda: len(mailbox.mails) == 1, 30)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    mailbox.hold_answers = False
    assert await database.statuses("killed") == ["pending"]
    # The dead process's lease ends now instead of in minutes.
    await database.end_lease("killed")
    async with running_process(variables):
        await eventually(lambda: _has(database, "killed", ["sent"]), 30)
    assert [mail["Message-ID"] for mail in mailbox.mails] == [mailbox.mails[0]["Message-ID"]] * 2


async def test_a_taken_mail_is_marked_once_the_database_is_back(
    ledger: Ledger,
    mailbox: Mailbox,
    migrated_url: str,
    nats_url: str,
    database: Database,
    *,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finish, failures = mails.finish, [OSError("away")] * 6

    async def finish_later(engine: AsyncEngine, mail: mails.Mail, statuses: Mapping[int, str]) -> bool:
        if failures:
            raise failures.pop()
        return await finish(engine, mail, statuses)

    monkeypatch.setattr(mails, "finish", finish_later)
    monkeypatch.setattr(outcomes, "MARK_DELAYS_SECONDS", (0.01,) * len(outcomes.MARK_DELAYS_SECONDS))
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        await ledger.publish(event("marked", threshold(80)))
        await eventually(lambda: _has(database, "marked", ["sent"]))
    assert mailbox.kinds == ["threshold-80"]


async def test_events_wait_for_a_database_that_is_away(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        connection = await asyncpg.connect(migrated_url, timeout=10)
        try:
            await connection.execute("ALTER TABLE notifier.messages RENAME TO messages_away")
            await ledger.publish(event("away", threshold(80)))
            await eventually(lambda: _delivered_again(ledger))
            await connection.execute("ALTER TABLE notifier.messages_away RENAME TO messages")
        finally:
            await connection.close()
        await eventually(lambda: mailbox.kinds == ["threshold-80"], 30)
        await eventually(ledger.handled)


async def _delivered_again(ledger: Ledger) -> bool:
    info = await ledger.client.jetstream(timeout=10).consumer_info("LEDGER", "notifier-ledger")
    return (info.num_redelivered or 0) >= 1
