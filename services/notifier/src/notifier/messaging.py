"""The notifier's consumer on the ledger's stream: every message ends acknowledged, given up, or delivered again."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog
from chassis.dead_letters import GivenUp
from chassis.postgres import DATABASE_ERRORS
from contracts import topology
from contracts.subjects import LEDGER_STREAM, NOTIFIER_LEDGER_CONSUMER
from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.annotations import NatsMessage
from faststream.nats.subscriber.usecases import PullStreamSubscriber
from msgspec import to_builtins
from nats.js.api import ConsumerConfig
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier import metrics
from notifier.domain.notices import notice_of
from notifier.reading import UnreadableEventError, poison_id, read_event
from notifier.store.notices import accept_notice
from notifier.store.tables import LETTERS, SERVICE

BATCH_SIZE: Final = 1
"""A larger fetch keeps a lone message waiting for others until its whole time is over."""
FETCH_SECONDS: Final = 2.0
FIRST_NAK_SECONDS: Final = 1.0
LONGEST_NAK_SECONDS: Final = 30.0
MAX_UNEXPECTED_DELIVERIES: Final = 10

log = structlog.get_logger()
CONSUMER: Final = next(each for each in topology.CONSUMERS if each.durable_name == NOTIFIER_LEDGER_CONSUMER)


class LedgerEvents:
    """What happens to each delivered message; `on_queued` is told when a notice was queued for `window` from now."""

    def __init__(self, engine: AsyncEngine, on_queued: Callable[[], None], *, window: timedelta) -> None:
        self._engine = engine
        self._on_queued = on_queued
        self._window = window

    async def handle(self, message: NatsMessage) -> None:
        """Queue the notice that the event asks for, once, and acknowledge after the commit."""
        raw = message.raw_message
        try:
            await self._accept(raw.data)
        except UnreadableEventError as error:
            await self._give_up(message, str(error))
        except DATABASE_ERRORS as error:
            if _refuses_the_data(error):
                await self._give_up(message, f"not storable: {type(error).__name__}")
            else:
                await self._try_later(message, type(error).__name__)
        except Exception as error:  # a fault of ours: FastStream would swallow it, and JetStream deliver for ever
            log.exception("event_failed_unexpectedly")
            if raw.metadata.num_delivered >= MAX_UNEXPECTED_DELIVERIES:
                await self._give_up(message, f"unexpected {type(error).__name__}")
            else:
                await self._try_later(message, type(error).__name__)
        else:
            await message.ack()

    async def _accept(self, payload: bytes) -> None:
        event = read_event(payload)
        queued = await accept_notice(self._engine, event.id, notice_of(event), window=self._window)
        metrics.EVENTS.labels("queued" if queued else "nothing_new").inc()
        if queued:
            self._on_queued()

    async def _give_up(self, message: NatsMessage, reason: str) -> None:
        raw = message.raw_message
        letter = GivenUp(
            consumer=NOTIFIER_LEDGER_CONSUMER,
            message_id=poison_id(raw.subject, raw.data),
            subject=raw.subject,
            payload=raw.data,
            reason=reason,
        )
        try:
            number = await LETTERS.keep(self._engine, letter)
        except DATABASE_ERRORS as error:
            await self._try_later(message, type(error).__name__)
            return
        if number is not None:
            metrics.EVENTS.labels("given_up").inc()
        await message.reject()

    async def _try_later(self, message: NatsMessage, error: str) -> None:
        deliveries = message.raw_message.metadata.num_delivered
        delay = min(FIRST_NAK_SECONDS * 2 ** min(deliveries - 1, 10), LONGEST_NAK_SECONDS)
        metrics.EVENTS.labels("delivered_again").inc()
        log.warning("event_not_stored", error=error, deliveries=deliveries, seconds=delay)
        await message.nack(delay=delay)


def _refuses_the_data(error: Exception) -> bool:
    """Whether Postgres refused the values themselves (SQLSTATE 22, 23), which no redelivery will change."""
    state = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else None
    return str(state)[:2] in {"22", "23"}


async def _undecoded(message: NatsMessage) -> bytes:
    # The handler reads the bytes itself: what FastStream fails to decode never reaches a handler, nor a dead letter.
    return message.body


def create_broker(nats_url: str) -> NatsBroker:
    """A broker that reconnects for ever and logs through the service's own logger."""
    return NatsBroker(
        nats_url,
        name=SERVICE,
        inbox_prefix=f"_INBOX_{SERVICE}",
        connect_timeout=2,
        reconnect_time_wait=1,
        max_reconnect_attempts=-1,
        ping_interval=10,
        max_outstanding_pings=2,
        graceful_timeout=5.0,
        logger=logging.getLogger("notifier.faststream"),
        log_level=logging.DEBUG,
    )


def subscribe(broker: NatsBroker, events: LedgerEvents) -> PullStreamSubscriber:
    """Bind the handler to the durable consumer; stream and consumer are provisioned by the ledger."""
    subscriber = broker.subscriber(
        stream=JStream(LEDGER_STREAM, declare=False),
        durable=NOTIFIER_LEDGER_CONSUMER,
        # Were the consumer deleted at the very moment of subscribing, it would be made anew: as the ledger makes it.
        config=ConsumerConfig.from_response(to_builtins(CONSUMER)),
        pull_sub=PullSub(batch_size=BATCH_SIZE, timeout=FETCH_SECONDS),
        inbox_prefix=f"_INBOX_{SERVICE}.".encode(),
        ack_policy=AckPolicy.MANUAL,
        decoder=_undecoded,
        no_reply=True,
        title="notifier-ledger",
        description="Events of the ledger that a person is told about.",
    )
    subscriber(events.handle)
    return subscriber
