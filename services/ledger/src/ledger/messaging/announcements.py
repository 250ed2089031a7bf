"""Announces dead letters on JetStream, from their table: none is lost while NATS is away."""

import asyncio
from typing import Final

import asyncpg
import structlog
from chassis.core_nats.client import CoreNats
from chassis.jetstream import Message, PublishRejectedError, publish_in_order
from chassis.postgres import DATABASE_ERRORS
from contracts import subjects
from contracts.codec import encode
from contracts.deadletters import DeadLetter
from nats.errors import Error as NatsError

from ledger.metrics import WAITING_DEAD_LETTERS
from ledger.store.dead_letters import count_waiting, load_unannounced, mark_announced

log = structlog.get_logger()

POLL_SECONDS: Final = 2.0
PAGE: Final = 100


class DeadLetterAnnouncer:
    """Several processes may announce the same letter; its id makes that harmless."""

    def __init__(self, client: CoreNats, pool: asyncpg.Pool) -> None:
        self._client = client
        self._pool = pool

    async def run(self) -> None:
        """Announce until cancelled."""
        while True:
            try:
                await self._announce_page()
                WAITING_DEAD_LETTERS.set(await count_waiting(self._pool))
            except (NatsError, PublishRejectedError, TimeoutError, *DATABASE_ERRORS) as error:
                log.warning("dead_letters_not_announced", error=repr(error))
            await asyncio.sleep(POLL_SECONDS)

    async def _announce_page(self) -> None:
        letters = await load_unannounced(self._pool, PAGE)
        for letter in letters:
            announcement = DeadLetter(
                id=f"ledger:{letter.number}",
                service="ledger",
                consumer=letter.consumer,
                subject=letter.subject,
                reason=letter.reason,
                failed_at=letter.failed_at,
            )
            subject = subjects.dead_letter("ledger", letter.consumer)
            await publish_in_order(self._client, [Message(subject, encode(announcement), announcement.id)])
        await mark_announced(self._pool, [letter.number for letter in letters])
