"""Puts the ledger together and runs it until a signal."""

import asyncio

import structlog
from chassis.announcements import DeadLetterAnnouncer
from chassis.core_nats.client import CoreNats
from chassis.logging import configure_logging
from chassis.nats import connect
from chassis.postgres import create_engine, create_pool
from chassis.server import run, serve, settle_memory, stop_signal
from contracts.subjects import dead_letter

from ledger.application.executor import Executor
from ledger.application.profiles import Profiles
from ledger.application.sweeper import Sweeper
from ledger.catalog_file import CatalogError, load_policy
from ledger.domain.policy import Policy
from ledger.http import build_app
from ledger.messaging.reads import ReadResponder
from ledger.messaging.relay import Relay
from ledger.messaging.reserve import ReserveResponder
from ledger.messaging.usage import UsageConsumer
from ledger.messaging.watermark import UsageWatermark
from ledger.settings import LedgerSettings
from ledger.store.dead_letters import LETTERS

log = structlog.get_logger()


async def run_ledger(settings: LedgerSettings, policy: Policy) -> None:
    """Serve until SIGINT or SIGTERM: stop taking requests, answer what is queued, then leave."""
    stop = stop_signal()
    client = await connect(settings.nats_url, service="ledger")
    pool = await create_pool(settings.database_url, min_size=1, max_size=6, service="ledger")
    engine = create_engine(settings.database_url, service="ledger")
    replicas = settings.jetstream_replicas
    core = CoreNats(settings.nats_url, service="ledger")
    jetstream = client.jetstream()
    relay = Relay(settings.database_url, core, jetstream, replicas=replicas)
    profiles = Profiles(pool)
    executor = Executor(
        settings.database_url, policy, openings_per_minute=settings.openings_per_minute, on_commit=relay.nudge
    )
    reads = ReadResponder(client, pool, policy, profiles, executor)
    async with serve(build_app(client, core, reads, executor, settings), settings.host, settings.ledger_port):
        usage = UsageConsumer(core, jetstream, executor, engine, replicas=replicas)
        watermark = UsageWatermark(client, executor.clock.hold_time)
        sweeper = Sweeper(
            pool, executor, watermark.passed, hold_ttl=policy.hold_ttl, tick_seconds=settings.sweep_seconds
        )
        announcer = DeadLetterAnnouncer(core, engine, LETTERS, dead_letter)
        reserves = ReserveResponder(core, executor, profiles)
        executing = asyncio.create_task(executor.run())
        loops = [asyncio.create_task(loop.run()) for loop in (relay, usage, sweeper, profiles, announcer)]
        reserves.start()
        core.open()
        await reads.start()
        settle_memory()
        log.info("ledger_ready", port=settings.ledger_port, catalog=policy.catalog.version)
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopped, executing, *loops], return_when=asyncio.FIRST_COMPLETED)
        log.info("ledger_stopping", reason="signal" if stopped in done else "a loop ended")
        reserves.stop_receiving()
        for loop in loops:
            loop.cancel()
        executor.stop()
        ended = await asyncio.gather(executing, *loops, return_exceptions=True)
    await core.close()
    await client.close()
    await engine.dispose()
    pool.terminate()
    for result in ended:
        if isinstance(result, Exception):
            raise result


def main() -> None:
    """Entry point of `python -m ledger`."""
    settings = LedgerSettings.load()
    configure_logging("ledger", settings.log_level)
    if not settings.nats_url:
        raise SystemExit("cannot start: SOLARIS_NATS_URL is not set: set it to nats://user:password@host:4222")
    try:
        policy = load_policy(settings)
    except CatalogError as error:
        raise SystemExit(f"cannot start: {error}") from None
    run(run_ledger(settings, policy))
