"""Puts the ledger together."""

from datetime import timedelta
from functools import partial

import structlog
from chassis.announcements import announce_dead_letters
from chassis.consumer import Consumer
from chassis.core_nats.client import CoreNats
from chassis.outbox import Relay
from chassis.postgres import create_engine, create_pool, disposed, opened
from chassis.provisioning import find_drift, provision
from chassis.responder import Responder
from chassis.service import Service, Work, run
from chassis.settings import SettingsError
from contracts.subjects import BILLING_STREAM, LEDGER_BILLING_CONSUMER, LEDGER_QUEUE, dead_letter
from contracts.topology import CONSUMERS, STREAMS

from ledger.application.executor import Executor
from ledger.application.hold_retention import HoldRetention
from ledger.application.housekeeping import keep_pruning
from ledger.application.log_parts import LogParts
from ledger.application.profiles import Profiles
from ledger.application.sweeper import Sweeper
from ledger.audit.hourly import HourlyCheckpoints
from ledger.catalog_file import load_policy
from ledger.messaging.billing import Hearing
from ledger.messaging.outbox import OUTBOX
from ledger.messaging.reads import Reads
from ledger.messaging.reserve import ReserveResponder
from ledger.messaging.usage import UsageConsumer
from ledger.messaging.watermark import UsageWatermark
from ledger.settings import LedgerSettings
from ledger.store.dead_letters import LETTERS

log = structlog.get_logger()


def assemble(settings: LedgerSettings) -> Service:
    """A ledger that stops by taking no more requests, answering what is queued, and only then letting NATS go.

    Raises:
        SettingsError: NATS is not named, or the catalog can't be used.
    """
    if not settings.nats_url:
        raise SettingsError("SOLARIS_NATS_URL is not set: set it to nats://user:password@host:4222")
    policy = load_policy(settings)
    log.info("catalog_read", version=policy.catalog.version)
    pool = create_pool(settings.database_url, max_size=6, service="ledger")
    engine = create_engine(settings.database_url, service="ledger")
    core = CoreNats(settings.nats_url, service="ledger")
    replicas = settings.jetstream_replicas
    # The streams are the ledger's to make, at its start and whenever it meets a gap.
    make_streams = partial(provision, core, STREAMS, CONSUMERS, replicas=replicas)
    relay = Relay(settings.database_url, core, OUTBOX, make_streams)
    executor = Executor(
        settings.database_url, policy, openings_per_minute=settings.openings_per_minute, on_commit=relay.nudge
    )
    watermark = UsageWatermark(core, executor.clock.hold_time)
    sweeper = Sweeper(pool, executor, watermark.passed, hold_ttl=policy.hold_ttl, tick_seconds=settings.sweep_seconds)
    retention = HoldRetention(pool, executor.clock, policy.hold_ttl)
    parts = LogParts(pool)
    usage = UsageConsumer(core, executor, engine, make_streams)
    billing = Consumer(
        core,
        settings.nats_url,
        engine,
        LETTERS,
        Hearing(executor).hear,
        stream=BILLING_STREAM,
        durable=LEDGER_BILLING_CONSUMER,
        make_streams=make_streams,
    )
    profiles = Profiles(pool)
    announcing = partial(announce_dead_letters, core, engine, LETTERS, dead_letter)
    keep_profiles = timedelta(days=settings.profile_days) if settings.profile_days else None
    pruning = partial(keep_pruning, pool, keep_profiles=keep_profiles)
    checkpoints = HourlyCheckpoints(settings.checkpoint_seconds)
    stating = [checkpoints.run] if settings.makes_checkpoints else []
    reserves = ReserveResponder(core, executor, profiles)
    reads = Reads(pool, policy, profiles, executor)

    return Service(
        settings=settings,
        port=settings.ledger_port,
        checks={"postgres": reads.why_not_ready, "nats": core.check},
        notes={
            "clock": executor.clock.doubt,
            "streams": partial(find_drift, core, STREAMS, replicas=replicas),
            "billing": billing.check,
            "checkpoints": checkpoints.check,
            "log_parts": parts.check,
        },
        parts=[
            opened(pool),
            disposed(engine),
            core,
            Work(
                relay.run,
                usage.run,
                billing.run,
                sweeper.run,
                retention.run,
                parts.run,
                profiles.run,
                announcing,
                pruning,
                *stating,
            ),
            # It ends before those who give it work, which then wait: people's answers must not wait for their end.
            Work(executor.run, stop=executor.stop),
            reserves.answering(),
            Responder(core, reads.answers(), queue=LEDGER_QUEUE),
        ],
    )


main = partial(run, "ledger", LedgerSettings, assemble)
