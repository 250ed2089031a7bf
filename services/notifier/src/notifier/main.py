"""Wires the notifier: what it is made of, and the order in which that starts and stops."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog
import uvloop
from chassis.announcements import DeadLetterAnnouncer
from chassis.core_nats.client import CoreNats
from chassis.health import Check, health_routes
from chassis.logging import configure_logging
from chassis.nats import connect
from chassis.postgres import create_engine
from chassis.server import serve
from chassis.service import stop_signal
from contracts.subjects import NOTIFIER_LEDGER_CONSUMER, dead_letter
from nats.aio.client import Client
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette

from notifier.courier import Courier
from notifier.domain.outage import Outage
from notifier.domain.retries import RetryPolicy
from notifier.housekeeping import keep_measuring, keep_pruning
from notifier.ledger_reads import LedgerReads
from notifier.mail.rendering import MailStyle
from notifier.mail.smtp import send_mail
from notifier.messaging import LedgerEvents, create_broker, subscribe
from notifier.outcomes import Outcomes
from notifier.sending import LEASE, Sender
from notifier.settings import NotifierSettings
from notifier.store.backlog import check_database
from notifier.store.tables import LETTERS, SERVICE
from notifier.subscription import Subscription

log = structlog.get_logger()


async def run_notifier(
    settings: NotifierSettings, stop: asyncio.Event, *, policy: RetryPolicy | None = None, lease: timedelta = LEASE
) -> None:
    """Run until `stop`; raises when a part fails for good, so that a supervisor starts the process anew."""
    engine = create_engine(settings.database_url, service=SERVICE)
    checks: dict[str, Check] = {
        "postgres": lambda: check_database(engine),
        "nats": _not_connected,
        "consumer": _not_connected,
    }
    app = Starlette(routes=health_routes(checks, instance=settings.instance, metrics_token=settings.metrics_token))
    try:
        async with serve(app, settings.host, settings.notifier_port):
            client = await _connect(settings.nats_url, stop)
            if client is None:
                return
            try:
                await _work(
                    settings=settings,
                    engine=engine,
                    client=client,
                    checks=checks,
                    stop=stop,
                    policy=policy or RetryPolicy(),
                    lease=lease,
                )
            finally:
                await client.close()
    finally:
        await engine.dispose()


async def _work(
    *,
    settings: NotifierSettings,
    engine: AsyncEngine,
    client: Client,
    checks: dict[str, Check],
    stop: asyncio.Event,
    policy: RetryPolicy,
    lease: timedelta,
) -> None:
    window = timedelta(seconds=settings.alert_window_seconds)
    due = asyncio.Event()
    broker = create_broker(settings.nats_url)

    def wake_when_due() -> None:
        asyncio.get_running_loop().call_later(settings.alert_window_seconds, due.set)

    events = LedgerEvents(engine, wake_when_due, window=window)
    subscription = Subscription(broker, subscribe(broker, events), client, durable=NOTIFIER_LEDGER_CONSUMER)
    sender = _sender(settings, engine=engine, client=client, policy=policy, lease=lease)

    async def nats_connected() -> str | None:
        return None if client.is_connected else "not connected"

    checks["nats"] = nats_connected
    checks["consumer"] = subscription.check
    log.info("notifier_started", port=settings.notifier_port)
    core = CoreNats(settings.nats_url, service=SERVICE)
    announcing = DeadLetterAnnouncer(core, engine, LETTERS, dead_letter)
    async with core, asyncio.TaskGroup() as group:
        workers = [
            group.create_task(subscription.run(stop)),
            group.create_task(sender.run(stop, due)),
            group.create_task(keep_measuring(engine, stop)),
            group.create_task(keep_pruning(engine, stop)),
        ]
        announcer = group.create_task(announcing.run())
        await stop_workers(workers, stop, settings.shutdown_seconds)
        announcer.cancel()
    log.info("notifier_stopped")


async def stop_workers(workers: Sequence[asyncio.Task[None]], stop: asyncio.Event, seconds: float) -> None:
    """After `stop`, give the workers so long to end by themselves, then cancel them."""
    await stop.wait()
    _, late = await asyncio.wait(workers, timeout=seconds)
    for worker in late:
        log.warning("worker_cancelled")
        worker.cancel()


def _sender(
    settings: NotifierSettings,
    *,
    engine: AsyncEngine,
    client: Client,
    policy: RetryPolicy,
    lease: timedelta,
) -> Sender:
    server = settings.smtp_server
    mail_server, ledger = Outage(policy), Outage(policy)
    courier = Courier(
        engine=engine,
        reads=LedgerReads(client),
        deliver=lambda write, recipient: send_mail(server, write, sender=settings.mail_from, recipient=recipient),
        style=MailStyle(
            mail_from=settings.mail_from, mail_domain=settings.mail_domain, presentation=settings.presentation
        ),
        outcomes=Outcomes(engine=engine, policy=policy),
        mail_server=mail_server,
        ledger=ledger,
    )
    return Sender(
        engine=engine, courier=courier, at_once=settings.smtp_connections, outages=(mail_server, ledger), lease=lease
    )


async def _not_connected() -> str | None:
    return "not connected"


async def _connect(nats_url: str, stop: asyncio.Event) -> Client | None:
    """The connection, as soon as the server answers; None when stopped before."""
    connecting = asyncio.create_task(connect(nats_url, service=SERVICE))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({connecting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return await connecting if connecting.done() else None
    finally:
        connecting.cancel()
        stopping.cancel()


async def _run_until_signal(settings: NotifierSettings) -> None:
    await run_notifier(settings, stop_signal())


def main() -> None:
    """Run the service; exits non-zero when it cannot go on."""
    settings = NotifierSettings.load()
    configure_logging(SERVICE, settings.log_level)
    uvloop.run(_run_until_signal(settings))
