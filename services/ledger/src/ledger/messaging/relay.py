"""Publishes stored events to JetStream in the order of their positions; the event table is the outbox."""

import asyncio
from typing import Final

import asyncpg
import structlog
from chassis.core_nats.client import CoreNats
from chassis.jetstream import Message, PublishRejectedError, publish_in_order
from chassis.postgres import DATABASE_ERRORS
from contracts.accounts import subject_token
from contracts.envelope import name_of_any_version
from contracts.subjects import event_subject
from nats.errors import Error as NatsError

from ledger.messaging.topology import ensure_topology
from ledger.metrics import RELAY_ERRORS, RELAY_LAG, RELAY_LEADER, RELAYED
from ledger.store.outbox import count_behind, events_after, load_position, store_position, try_lead

log = structlog.get_logger()

BATCH: Final = 1_000
PAGE: Final = 250
"""Events read in one go; between pages whoever waits for the event loop has its turn."""
GATHER_SECONDS: Final = 0.02
BUSY_GATHER_SECONDS: Final = 0.4
BUSY_EVENTS: Final = 20
"""Wait after a nudge, longer when events come fast: each batch costs the server about 2 ms, whatever it holds."""
POLL_SECONDS: Final = 0.25
"""Finds events of other ledger processes, whose commits nudge nobody here."""
RETRY_SECONDS: Final = 0.5
FROZEN_SECONDS: Final = 8
"""Longer than the slowest publication of a leader that lives."""


def as_message(account_id: str, event_id: object, event_type: str, data: bytes) -> Message:
    """A stored event as it is published, of whatever version: its bytes unchanged, its id as the message's."""
    return Message(event_subject(name_of_any_version(event_type), subject_token(account_id)), data, str(event_id))


class Relay:
    """One process relays at a time, by a session lock; were there two, ids would make it harmless."""

    def __init__(self, database_url: str, client: CoreNats, *, replicas: int = 1) -> None:
        self._database_url = database_url
        self._client = client
        self._replicas = replicas
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """There are new events."""
        self._nudged.set()

    async def run(self) -> None:
        """Relay until cancelled; a failed event is published again and never passed."""
        while True:
            try:
                await self._lead()
            except PublishRejectedError as error:
                RELAY_ERRORS.inc()
                log.warning("relay_refused", error=str(error), code=error.code)
                await self._recreate_streams()
            except (NatsError, ValueError, *DATABASE_ERRORS) as error:
                RELAY_ERRORS.inc()
                log.warning("relay_interrupted", error=repr(error))
                await self._recreate_streams()
            await asyncio.sleep(RETRY_SECONDS)

    async def _recreate_streams(self) -> None:
        try:
            await ensure_topology(self._client, self._replicas)
        except NatsError as error:
            log.debug("topology_not_ensured", error=repr(error))

    async def _lead(self) -> None:
        connection = await asyncpg.connect(
            self._database_url,
            timeout=5,
            command_timeout=10,
            # A position lost by a crash is published again; it needs no fsync of its own.
            # A leader that was frozen loses its connection, and with it the lead.
            server_settings={
                "application_name": "ledger-relay",
                "synchronous_commit": "off",
                "idle_session_timeout": f"{FROZEN_SECONDS}s",
                "transaction_timeout": f"{FROZEN_SECONDS}s",
            },
        )
        try:
            # The leader may be another process, so there is nothing here to wait on but the lock.
            while not await try_lead(connection):  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS * 4)
            RELAY_LEADER.set(1)
            position = await load_position(connection)
            while True:
                position = await self._publish_after(connection, position)
        finally:
            RELAY_LEADER.set(0)
            connection.terminate()

    async def _publish_after(self, connection: asyncpg.Connection, position: int) -> int:
        messages: list[Message] = []
        stored = position
        while rows := await events_after(connection, position, PAGE):
            messages += [as_message(row["account_id"], row["id"], row["type"], row["data"]) for row in rows]
            position = int(rows[-1]["position"])
            if len(rows) < PAGE or len(messages) >= BATCH:
                break
        if not messages:
            RELAY_LAG.set(0)
            await self._wait(GATHER_SECONDS)
            return position
        # Told before it is tried: a relay that is stuck must not look as if it had nothing to do.
        RELAY_LAG.set(position - stored)
        await publish_in_order(self._client, messages)
        await store_position(connection, position)
        RELAYED.inc(len(messages))
        if len(messages) < BATCH:
            RELAY_LAG.set(0)
            await self._wait(BUSY_GATHER_SECONDS if len(messages) >= BUSY_EVENTS else GATHER_SECONDS)
        else:
            RELAY_LAG.set(await count_behind(connection, position))
        return position

    async def _wait(self, gather_seconds: float) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._nudged.wait()
        except TimeoutError:
            return
        self._nudged.clear()
        await asyncio.sleep(gather_seconds)
