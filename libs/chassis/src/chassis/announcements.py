"""Announces dead letters on JetStream, from their table: none is lost while NATS is away."""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Final

import structlog
from msgspec.json import encode
from msgspec.structs import replace
from nats.errors import Error as NatsError
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.core_nats.client import CoreNats
from chassis.dead_letters import DeadLetters
from chassis.jetstream import Message, publish_in_order
from chassis.postgres import DATABASE_ERRORS

POLL_SECONDS: Final = 2.0

log = structlog.get_logger()


async def announce_dead_letters(
    client: CoreNats, engine: AsyncEngine, letters: DeadLetters, subject: Callable[[str, str], str]
) -> None:
    """Announce until cancelled; `subject` is that of a service's consumer: (service, consumer) → subject.

    Several processes may announce the same letter; its id and the time of its failure make that harmless.
    """
    while True:
        try:
            page = await letters.load_unannounced(engine)
            for letter in page:
                announcement = replace(letters.listed(letter), payload=None)
                message_id = f"{announcement.id} {announcement.failed_at.isoformat()}"
                message = Message(subject(letters.service, letter.consumer), encode(announcement), message_id)
                await publish_in_order(client, [message])
            if page:
                await letters.mark_announced(engine, page)
            _waiting_letters(letters.service).set(await letters.count_waiting(engine))
        except (NatsError, *DATABASE_ERRORS) as error:
            log.warning("dead_letters_not_announced", error=repr(error))
        await asyncio.sleep(POLL_SECONDS)


@cache
def _waiting_letters(service: str) -> Gauge:
    name = f"solaris_{service}_waiting_dead_letters"
    return Gauge(name, "Dead letters that nobody has retried or discarded")
