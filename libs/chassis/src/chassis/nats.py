"""Connections to NATS that never give up, by nats-py: for what the data path (`chassis.core_nats`) does not carry."""

import contextlib
import time
from collections.abc import AsyncIterator

import structlog
from nats.aio.client import Client

from chassis.core_nats.wire import server_urls

log = structlog.get_logger()

CONNECT_TIMEOUT_SECONDS = 2
ERROR_LOG_SECONDS = 10.0
PENDING_BYTES = 8 * 1024 * 1024


@contextlib.asynccontextmanager
async def connected(client: Client, nats_url: str, *, service: str) -> AsyncIterator[None]:
    """Connect the client as soon as the server answers, for the block."""
    try:
        await connect(nats_url, service=service, client=client)
        yield
    finally:
        await client.close()


async def connect(nats_url: str, *, service: str, client: Client | None = None) -> Client:
    """Connect and stay connected: reconnects for ever with a short wait.

    Raises:
        nats.errors.Error: the first connection could not be made.
    """

    async def disconnected() -> None:
        log.warning("nats_disconnected")

    async def reconnected() -> None:
        log.info("nats_reconnected")

    logged_at: dict[type[Exception], float] = {}

    async def failed(error: Exception) -> None:
        # Called at every vain attempt, several times a second while the server is away.
        now = time.monotonic()
        if now - logged_at.get(type(error), float("-inf")) >= ERROR_LOG_SECONDS:
            logged_at[type(error)] = now
            log.warning("nats_error", error=repr(error))

    client = client or Client()
    await client.connect(
        server_urls(nats_url),
        name=service,
        inbox_prefix=f"_INBOX_{service}",
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        reconnect_time_wait=0.25,  # type: ignore[arg-type]  # it only sleeps so long
        max_reconnect_attempts=-1,
        ping_interval=10,
        max_outstanding_pings=2,
        pending_size=PENDING_BYTES,
        disconnected_cb=disconnected,
        reconnected_cb=reconnected,
        error_cb=failed,
    )
    return client
