"""Announces dead letters on JetStream, from their table: none is lost while NATS is away."""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Final

import structlog
from msgspec import json
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


class DeadLetterAnnouncer:
    """Several processes may announce the same letter; its id makes that harmless."""

    def __init__(
        self, client: CoreNats, engine: AsyncEngine, letters: DeadLetters, subject: Callable[[str, str], str]
    ) -> None:
        """`subject` is that of a service's consumer: (service, consumer) → subject."""
        self._client = client
        self._engine = engine
        self._letters = letters
        self._subject = subject

    async def run(self) -> None:
        """Announce until cancelled."""
        while True:
            try:
                await self._announce_page()
                waiting = await self._letters.count_waiting(self._engine)
                _waiting_letters(self._letters.service).set(waiting)
            except (NatsError, *DATABASE_ERRORS) as error:
                log.warning("dead_letters_not_announced", error=repr(error))
            await asyncio.sleep(POLL_SECONDS)

    async def _announce_page(self) -> None:
        letters = await self._letters.load_unannounced(self._engine)
        for letter in letters:
            announcement = replace(self._letters.listed(letter), payload=None)
            subject = self._subject(self._letters.service, letter.consumer)
            message = Message(subject, json.encode(announcement), announcement.id)
            await publish_in_order(self._client, [message])
        await self._letters.mark_announced(self._engine, [letter.number for letter in letters])


@cache
def _waiting_letters(service: str) -> Gauge:
    name = f"solaris_{service}_waiting_dead_letters"
    return Gauge(name, "Dead letters that nobody has retried or discarded")
