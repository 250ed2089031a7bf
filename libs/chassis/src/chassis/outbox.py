"""Publishes what a service has stored, in its order: from a remembered position on, and never past what failed."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import asyncpg
import structlog
from nats.errors import Error as NatsError
from prometheus_client import Counter, Gauge

from chassis.core_nats.client import CoreNats
from chassis.jetstream import Message, publish_in_order
from chassis.postgres import DATABASE_ERRORS

log = structlog.get_logger()

BATCH: Final = 1_000
PAGE: Final = 250
"""Messages read in one go; between pages whoever waits for the event loop has its turn."""
GATHER_SECONDS: Final = 0.02
BUSY_GATHER_SECONDS: Final = 0.4
BUSY_MESSAGES: Final = 20
"""Wait after a nudge, longer when messages come fast: each batch costs the server about 2 ms, whatever it holds."""
POLL_SECONDS: Final = 0.25
"""Finds what other processes have stored, whose commits nudge nobody here."""
RETRY_SECONDS: Final = 0.5
FROZEN_SECONDS: Final = 8
"""Longer than the slowest publication of a leader that lives."""


type Entry = tuple[int, Message]
"""A message to publish and its position."""


class Outbox:
    """What a service has stored to be published; what commits later stands at a higher position.

    `load_after(connection, position, limit)` gives the next messages, their positions rising; `load_newest` the last
    position there is. `leader_lock` is the advisory lock of the one process that publishes.
    """

    def __init__(
        self,
        *,
        service: str,
        leader_lock: int,
        load_after: Callable[[asyncpg.Connection, int, int], Awaitable[Sequence[Entry]]],
        load_newest: Callable[[asyncpg.Connection], Awaitable[int]],
    ) -> None:
        self.service = service
        self.leader_lock = leader_lock
        self.load_after = load_after
        self.load_newest = load_newest
        self.lag = Gauge(f"solaris_{service}_relay_lag_events", "Stored events not yet published")
        self.published = Counter(f"solaris_{service}_relayed_events_total", "Events published")
        self.leads = Gauge(f"solaris_{service}_relay_leader", "1 in the process that publishes events")
        self.errors = Counter(f"solaris_{service}_relay_errors_total", "Interruptions of publishing")

    async def load_position(self, connection: asyncpg.Connection) -> int:
        """Up to here all is known to be published; it stands in `<service>.relay` (name, position)."""
        query = f"SELECT position FROM {self.service}.relay WHERE name = $1"  # noqa: S608  the service's own schema
        return await connection.fetchval(query, self.service) or 0

    async def store_position(self, connection: asyncpg.Connection, position: int) -> None:
        """Remember it, unless a later one is known."""
        statement = f"""
            INSERT INTO {self.service}.relay (name, position) VALUES ($1, $2)
            ON CONFLICT (name) DO UPDATE SET position = greatest(relay.position, excluded.position)
        """  # noqa: S608  the service's own schema
        await connection.execute(statement, self.service, position)


class Relay:
    """One process relays at a time, by a session lock; were there two, message ids would make it harmless.

    `make_streams` makes those that are missing; it is called whenever publishing was interrupted.
    """

    def __init__(
        self, database_url: str, client: CoreNats, outbox: Outbox, make_streams: Callable[[], Awaitable[object]]
    ) -> None:
        self._database_url = database_url
        self._client = client
        self._outbox = outbox
        self._make_streams = make_streams
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """There is something new."""
        self._nudged.set()

    async def run(self) -> None:
        """Relay until cancelled; what failed is published again and never passed."""
        while True:
            try:
                await self._lead()
            except (NatsError, ValueError, *DATABASE_ERRORS) as error:
                self._outbox.errors.inc()
                log.warning("relay_interrupted", error=repr(error))
                with contextlib.suppress(NatsError):
                    await self._make_streams()
            await asyncio.sleep(RETRY_SECONDS)

    async def _lead(self) -> None:
        connection = await asyncpg.connect(
            self._database_url,
            timeout=5,
            command_timeout=10,
            # A position lost by a crash is published again; it needs no fsync of its own.
            # A leader that was frozen loses its connection, and with it the lead.
            server_settings={
                "application_name": f"{self._outbox.service}-relay",
                "synchronous_commit": "off",
                "idle_session_timeout": f"{FROZEN_SECONDS}s",
                "transaction_timeout": f"{FROZEN_SECONDS}s",
            },
        )
        try:
            # The leader may be another process, so there is nothing here to wait on but the lock.
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", self._outbox.leader_lock):  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS * 4)
            self._outbox.leads.set(1)
            position = await self._outbox.load_position(connection)
            while True:
                position = await self._publish_after(connection, position)
        finally:
            self._outbox.leads.set(0)
            connection.terminate()

    async def _publish_after(self, connection: asyncpg.Connection, position: int) -> int:
        messages: list[Message] = []
        stored = position
        while page := await self._outbox.load_after(connection, position, PAGE):
            messages += [message for _, message in page]
            position = page[-1][0]
            if len(page) < PAGE or len(messages) >= BATCH:
                break
        if not messages:
            self._outbox.lag.set(0)
            await self._wait(GATHER_SECONDS)
            return position
        # Told before it is tried: a relay that is stuck must not look as if it had nothing to do.
        self._outbox.lag.set(position - stored)
        await publish_in_order(self._client, messages)
        await self._outbox.store_position(connection, position)
        self._outbox.published.inc(len(messages))
        if len(messages) < BATCH:
            self._outbox.lag.set(0)
            await self._wait(BUSY_GATHER_SECONDS if len(messages) >= BUSY_MESSAGES else GATHER_SECONDS)
        else:
            self._outbox.lag.set(await self._outbox.load_newest(connection) - position)
        return position

    async def _wait(self, gather_seconds: float) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._nudged.wait()
        except TimeoutError:
            return
        self._nudged.clear()
        await asyncio.sleep(gather_seconds)
