"""Accounts don't wait for each other, and processes don't send twice, whatever freezes or dies between them."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta

import asyncpg
from local_run.ports import any_free
from notifier.application.sending import LEASE
from notifier.domain.retries import RetryPolicy
from notifier.settings import NotifierSettings

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
from tests.support.eventually import eventually

MAX_AT_ONCE = int(NotifierSettings.model_fields["smtp_connections"].default)


async def test_slow_recipients_hold_up_nobody_else(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    slow = [f"slow-{number}" for number in range(MAX_AT_ONCE - 1)]
    mailbox.slow = {f"{account}@example.com" for account in slow}
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        await ledger.publish(*(event(account, threshold(80)) for account in slow))
        await eventually(lambda: mailbox.at_once == len(slow))
        others = [f"quick-{number}" for number in range(30)]
        await ledger.publish(*(event(account, threshold(80)) for account in others))
        await eventually(lambda: len(mailbox.mails) == len(others))
        assert set(mailbox.recipients) == {f"{account}@example.com" for account in others}
        mailbox.slow.clear()
        await eventually(lambda: len(mailbox.mails) == len(others) + len(slow))


async def test_conversations_are_bounded_and_one_account_has_one(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    accounts = [f"many-{number}" for number in range(MAX_AT_ONCE + 8)]
    mailbox.slow = {f"{account}@example.com" for account in accounts}
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        for percent in (80, 90):
            await ledger.publish(*(event(account, threshold(percent)) for account in accounts))
        await eventually(ledger.handled)
        await eventually(lambda: mailbox.at_once == MAX_AT_ONCE)
        (claimed,) = await database.rows("SELECT count(*) FROM notifier.claims")
        assert claimed[0] == MAX_AT_ONCE
        mailbox.slow.clear()
        await eventually(lambda: _nothing_waits(database))
        assert mailbox.most_at_once <= MAX_AT_ONCE
        await eventually(lambda: _no_claims(database))
    for account in accounts:
        mine = [
            (str(mail["X-Solaris-Kind"]), mail["X-Solaris-Also"])
            for mail, to in zip(mailbox.mails, mailbox.recipients, strict=True)
            if to == f"{account}@example.com"
        ]
        apart, together = [("threshold-80", None), ("threshold-90", None)], [("threshold-90", "threshold-80")]
        assert mine in (apart, together), "those that waited for a place have one mail"


async def _nothing_waits(database: Database) -> bool:
    return await database.rows("SELECT 1 FROM notifier.messages WHERE status = 'pending'") == []


async def _no_claims(database: Database) -> bool:
    return await database.rows("SELECT 1 FROM notifier.claims") == []


@contextlib.asynccontextmanager
async def refusing_server() -> AsyncIterator[tuple[str, list[int]]]:
    """A mail server that takes nobody's mail now, and how often it was called."""
    calls = [0]

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls[0] += 1
        writer.write(b"554 5.3.2 not accepting mail\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", calls


async def test_a_mail_server_that_is_away_is_asked_by_one_mail_at_a_time_and_costs_no_mail_an_attempt(
    ledger: Ledger, migrated_url: str, nats_url: str, database: Database
) -> None:
    accounts = [f"away-{number}" for number in range(40)]
    policy = RetryPolicy(first_delay_seconds=0.2, longest_outage_delay_seconds=0.2, max_attempts=2)
    async with refusing_server() as (url, calls), running(settings_for(migrated_url, nats_url, url), policy):
        await ledger.publish(*(event(account, threshold(80)) for account in accounts))
        await eventually(ledger.handled)
        await eventually(lambda: calls[0] >= 10)
        asked = calls[0]
        rows = await database.rows(
            "SELECT status, failures, attempts FROM notifier.messages WHERE account_id LIKE 'away-%'"
        )
    assert {row["status"] for row in rows} == {"pending"}
    assert sum(row["failures"] for row in rows) == 0
    assert sum(row["attempts"] for row in rows) <= asked + MAX_AT_ONCE
    await database.rows("DELETE FROM notifier.messages WHERE account_id LIKE 'away-%'")


async def test_a_locked_row_of_one_account_holds_up_no_other(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    await database.rows("INSERT INTO notifier.claims VALUES ('locked', gen_random_uuid(), now() - interval '1 minute')")
    connection = await asyncpg.connect(migrated_url, timeout=10)
    try:
        async with connection.transaction():
            # As a process would that froze in the middle of a transaction.
            await connection.execute("SELECT 1 FROM notifier.claims WHERE account_id = 'locked' FOR UPDATE")
            async with running(settings_for(migrated_url, nats_url, mailbox.url)):
                await ledger.publish(event("locked", threshold(80)))
                for number in range(3):
                    await ledger.publish(event(f"free-{number}", threshold(80)))
                await eventually(lambda: len(mailbox.mails) == 3)
                assert "locked@example.com" not in mailbox.recipients
    finally:
        await connection.close()
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        await eventually(lambda: "locked@example.com" in mailbox.recipients)


async def test_a_moment_without_mail_server_does_not_make_all_wait_for_a_slow_recipient(
    ledger: Ledger, migrated_url: str, nats_url: str, database: Database
) -> None:
    mailbox = Mailbox(port=any_free(), slow={"slowest@example.com"})
    with contextlib.ExitStack() as served:
        served.enter_context(serving(mailbox))
        relay = await asyncio.start_server(_passing_on(mailbox.port), "127.0.0.1", 0)
        async with relay, running(settings_for(migrated_url, nats_url, f"smtp://127.0.0.1:{_port(relay)}")):
            await ledger.publish(event("slowest", threshold(80)))
            await eventually(lambda: mailbox.at_once == 1)
            port = _port(relay)
            relay.close()  # what is connected stays so
            await ledger.publish(event("meanwhile-1", threshold(80)))
            await eventually(lambda: _postponed(database, "meanwhile-1"))
            async with await asyncio.start_server(_passing_on(mailbox.port), "127.0.0.1", port):
                await ledger.publish(event("meanwhile-2", threshold(80)))
                await eventually(lambda: len(mailbox.mails) == 2)
                assert mailbox.at_once == 1
                mailbox.slow.clear()
                await eventually(lambda: len(mailbox.mails) == 3)


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


def _passing_on(port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """A connection's handler that passes all on to another port."""

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                target.write(data)
        target.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    return handle


async def _postponed(database: Database, account_id: str) -> bool:
    rows = await database.rows("SELECT last_error FROM notifier.messages WHERE account_id = $1", account_id)
    return bool(rows) and rows[0]["last_error"] is not None


async def test_a_frozen_process_that_lost_its_claim_sends_nothing_when_it_wakes(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    ledger.speechless.add("frozen")
    async with running_process(environment_of(settings_for(migrated_url, nats_url, mailbox.url))) as frozen:
        await ledger.publish(event("frozen", threshold(80)))
        await eventually(lambda: "frozen" in ledger.states_asked, 30)
        frozen.send_signal(signal.SIGSTOP)
        ledger.speechless.clear()
        await database.end_lease("frozen")
        async with running(settings_for(migrated_url, nats_url, mailbox.url)):
            await eventually(lambda: _statuses_are(database, "frozen", ["sent"]))
            frozen.send_signal(signal.SIGCONT)
            await ledger.publish(event("after", threshold(80)))
            await eventually(lambda: "after@example.com" in mailbox.recipients)
            await eventually(lambda: _no_claims(database))
            frozen.terminate()
            await frozen.wait()
    assert mailbox.recipients.count("frozen@example.com") == 1
    assert await database.statuses("frozen") == ["sent"]


async def _statuses_are(database: Database, account_id: str, statuses: list[str]) -> bool:
    return await database.statuses(account_id) == statuses


async def test_a_claim_is_kept_for_as_long_as_the_server_takes(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    lease = timedelta(seconds=0.6)
    mailbox.slow = {"long@example.com"}

    async def lapses_at() -> datetime:
        (claim,) = await database.rows("SELECT until FROM notifier.claims WHERE account_id = 'long'")
        until: datetime = claim["until"]
        return until

    async with (
        running(settings_for(migrated_url, nats_url, mailbox.url), lease=lease),
        running(settings_for(migrated_url, nats_url, mailbox.url), lease=lease),
    ):
        await ledger.publish(event("long", threshold(80)))
        await eventually(lambda: mailbox.at_once == 1)
        first = await lapses_at()
        await eventually(lambda: _is_after(lapses_at, first + 4 * lease))
        mailbox.slow.clear()
        await eventually(lambda: _no_claims(database))
    assert mailbox.recipients == ["long@example.com"]


async def _is_after(lapses_at: Callable[[], Awaitable[datetime]], moment: datetime) -> bool:
    return await lapses_at() > moment


async def test_the_mail_of_a_process_that_is_heard_of_no_more_is_sent_by_another_without_help(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    ledger.speechless.add("orphan")
    async with running_process(environment_of(settings_for(migrated_url, nats_url, mailbox.url))) as dead:
        await ledger.publish(event("orphan", threshold(80)))
        await eventually(lambda: "orphan" in ledger.states_asked, 30)
        dead.kill()
    ledger.speechless.clear()
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        await eventually(lambda: mailbox.recipients == ["orphan@example.com"], LEASE.total_seconds() + 10)


async def test_two_processes_on_one_backlog_send_each_mail_once(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    accounts = [f"shared-{number}" for number in range(60)]
    mailbox.slow = {f"{account}@example.com" for account in accounts}
    async with (
        running(settings_for(migrated_url, nats_url, mailbox.url)),
        running(settings_for(migrated_url, nats_url, mailbox.url)),
    ):
        await ledger.publish(*(event(account, threshold(80)) for account in accounts))
        await eventually(lambda: mailbox.at_once == 2 * MAX_AT_ONCE)
        mailbox.slow.clear()
        await eventually(lambda: len(mailbox.mails) >= len(accounts))
        await eventually(lambda: _no_claims(database))
    assert sorted(mailbox.recipients) == sorted(f"{account}@example.com" for account in accounts)


async def test_a_row_that_cannot_be_read_stops_nobody_else(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    await database.rows(
        "INSERT INTO notifier.messages (account_id, cycle_id, kind, cause, figures, occurred_at) "
        "VALUES ('unreadable', 'c', 'threshold-80', '1', '{}', now())"
    )
    async with running(settings_for(migrated_url, nats_url, mailbox.url)) as notifier:
        await ledger.publish(event("readable", threshold(80)))
        await eventually(lambda: mailbox.recipients == ["readable@example.com"])
        assert not notifier.done()
    await database.rows("DELETE FROM notifier.messages WHERE account_id = 'unreadable'")
    await database.rows("DELETE FROM notifier.claims")
