"""The consumer outlives the loss of NATS, stream and consumer, with no more rights than production gives it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest_asyncio
from chassis.consumer import REQUEST_SECONDS
from chassis.migrations import migrate
from contracts.subjects import NOTIFIER_LEDGER_CONSUMER
from local_run.ports import any_free
from local_run.servers.nats_server import running_nats
from local_run.servers.postgres import running_postgres

from tests.integration.notifier.mailbox import Mailbox
from tests.integration.notifier.stage import (
    Ledger,
    environment_of,
    event,
    playing_ledger,
    running,
    running_process,
    settings_for,
    threshold,
)
from tests.integration.notifier.verbs import CONSUMERS, fails, read
from tests.support.eventually import eventually


@pytest_asyncio.fixture(scope="module")
async def role_url(migrated_url: str) -> AsyncIterator[str]:
    """The database as the service's own role sees it."""
    connection = await asyncpg.connect(migrated_url, timeout=10)
    try:
        await connection.execute("DROP ROLE IF EXISTS notifier_login")
        await connection.execute("CREATE ROLE notifier_login LOGIN PASSWORD 'secret' IN ROLE solaris_notifier")
        parts = urlsplit(migrated_url)
        host = parts.netloc.rpartition("@")[2]
        yield urlunsplit(parts._replace(netloc=f"notifier_login:secret@{host}"))
        await connection.execute("DROP ROLE notifier_login")
    finally:
        await connection.close()


async def test_with_the_rights_of_production_it_outlives_restarts_of_nats_and_an_empty_one(
    mailbox: Mailbox, role_url: str, tmp_path: Path
) -> None:
    port = any_free()
    async with contextlib.AsyncExitStack() as stack:
        async with running_nats(tmp_path / "nats", port=port) as server, playing_ledger(server.url()) as ledger:
            settings = settings_for(role_url, server.url("notifier"), mailbox.url)
            task = await stack.enter_async_context(running(settings))
            await eventually(lambda: fails(settings.notifier_port, CONSUMERS))
            await ledger.provision()
            await eventually(lambda: fails(settings.notifier_port, set()))
            await ledger.publish(event("before", threshold(80)))
            await eventually(lambda: mailbox.recipients == ["before@example.com"])
        await eventually(lambda: fails(settings.notifier_port, {"nats", *CONSUMERS}), 20)
        async with running_nats(tmp_path / "nats", port=port), playing_ledger(server.url()) as ledger:
            await ledger.publish(event("restarted", threshold(80)))
            await eventually(lambda: "restarted@example.com" in mailbox.recipients, 30)
            await eventually(lambda: fails(settings.notifier_port, set()))
        async with running_nats(tmp_path / "empty", port=port), playing_ledger(server.url()) as ledger:
            await eventually(lambda: fails(settings.notifier_port, CONSUMERS), 20)
            await ledger.provision()
            await ledger.publish(event("emptied", threshold(80)))
            await eventually(lambda: "emptied@example.com" in mailbox.recipients, 30)
        assert not task.done()
    assert len(mailbox.recipients) == 3


async def test_without_its_consumer_it_asks_for_no_messages_and_goes_on_when_the_consumer_is_back(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str
) -> None:
    settings = settings_for(migrated_url, nats_url, mailbox.url)
    async with running(settings):
        await eventually(lambda: fails(settings.notifier_port, set()))
        await ledger.delete_stream()
        await eventually(lambda: fails(settings.notifier_port, {"consumer"}))
        fetches = await ledger.overhear("$JS.API.CONSUMER.MSG.NEXT.>")
        checks = await ledger.overhear("$JS.API.CONSUMER.INFO.>")
        await eventually(lambda: len(checks) >= 3)
        assert fetches == []
        await ledger.provision()
        await ledger.publish(event("calm", threshold(80)))
        await eventually(lambda: mailbox.recipients == ["calm@example.com"], 20)


async def test_a_lone_event_is_mailed_without_waiting_for_others(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str
) -> None:
    settings = settings_for(migrated_url, nats_url, mailbox.url)
    async with running(settings):
        await eventually(lambda: fails(settings.notifier_port, set()))
        async with asyncio.timeout(REQUEST_SECONDS / 2):
            await ledger.publish(event("quick", threshold(80)))
            await eventually(lambda: mailbox.recipients == ["quick@example.com"])


async def test_metrics_tell_what_was_sent_and_what_waits(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str
) -> None:
    settings = settings_for(migrated_url, nats_url, mailbox.url)
    async with running(settings):
        await ledger.publish(event("counted", threshold(77)))
        await eventually(lambda: mailbox.kinds == ["threshold-77"])

        async def tells_all() -> bool:
            _, text = await asyncio.to_thread(read, settings.notifier_port, "/metrics")
            for series in (
                'solaris_notifier_mails_sent_total{kind="threshold-77"} 1.0',
                "solaris_notifier_mails_pending ",
                "solaris_notifier_oldest_pending_seconds ",
                "solaris_notifier_waiting_dead_letters ",
            ):
                assert series in text
            return True

        await eventually(tells_all)  # it counts once the mailbox has answered it


async def test_it_stops_at_once_on_sigterm_also_before_and_after_nats_was_there(
    mailbox: Mailbox, migrated_url: str, tmp_path: Path
) -> None:
    port = any_free()
    absent = settings_for(migrated_url, f"nats://127.0.0.1:{port}", mailbox.url)
    async with running_process(environment_of(absent)) as process:
        await eventually(lambda: fails(absent.notifier_port, {"nats", *CONSUMERS}), 30)
        assert await _terminated(process) == 0
    async with contextlib.AsyncExitStack() as stack:
        async with running_nats(tmp_path / "nats", port=port) as server, playing_ledger(server.url()) as ledger:
            await ledger.provision()
            settings = settings_for(migrated_url, server.url("notifier"), mailbox.url)
            process = await stack.enter_async_context(running_process(environment_of(settings)))
            await eventually(lambda: fails(settings.notifier_port, set()), 30)
        await eventually(lambda: fails(settings.notifier_port, {"nats", *CONSUMERS}), 30)
        assert await _terminated(process) == 0


async def _terminated(process: asyncio.subprocess.Process) -> int:
    process.terminate()
    async with asyncio.timeout(8):
        return await process.wait()


async def test_without_a_database_it_stays_alive_and_names_the_failing_part(
    mailbox: Mailbox, ledger: Ledger, nats_url: str
) -> None:
    settings = settings_for(f"postgresql://solaris@127.0.0.1:{any_free()}/none", nats_url, mailbox.url)
    async with running(settings):
        await eventually(lambda: fails(settings.notifier_port, {"postgres"}), 20)
        assert (await asyncio.to_thread(read, settings.notifier_port, "/health/live"))[0] == 200


async def test_events_and_mails_wait_while_postgres_is_stopped(
    ledger: Ledger, mailbox: Mailbox, nats_url: str, tmp_path: Path
) -> None:
    port = any_free()
    async with contextlib.AsyncExitStack() as stack:
        async with running_postgres(tmp_path / "postgres", port=port) as server:
            url = server.url("postgres")
            await migrate(url, "notifier")
            await stack.enter_async_context(running(settings_for(url, nats_url, mailbox.url)))
            await ledger.publish(event("up", threshold(80)))
            await eventually(lambda: mailbox.recipients == ["up@example.com"], 20)
        await ledger.publish(event("down", threshold(80)))
        await eventually(lambda: _delivered(ledger), 20)
        async with running_postgres(tmp_path / "postgres", port=port):
            await eventually(lambda: "down@example.com" in mailbox.recipients, 40)
    assert mailbox.recipients == ["up@example.com", "down@example.com"]


async def _delivered(ledger: Ledger) -> bool:
    info = await ledger.client.jetstream(timeout=10).consumer_info("LEDGER", NOTIFIER_LEDGER_CONSUMER)
    return info.num_pending == 0 and (info.num_ack_pending or 0) >= 1
