"""The ledger's own executor for one command of an operator, beside running services or without any."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from ledger.application.database_clock import QUIET_BOUND, TOLERANCE
from ledger.application.executor import Executor
from ledger.domain.policy import Policy
from ledger.settings import LedgerSettings
from ledger.store.due import load_database_time

CONNECT_SECONDS: Final = 3.0
ASK_SECONDS: Final = 1.0


@contextlib.asynccontextmanager
async def open_executor(
    settings: LedgerSettings, policy: Policy, connection: asyncpg.Connection
) -> AsyncIterator[Executor]:
    """An executor whose clock is right from its first decision on; `connection` is of its database.

    A command does not live long enough to see whether a clock that is days after the log's last event has jumped or
    the ledger was merely at rest. A running ledger knows, and is asked; where none answers the database is believed.
    """
    executor = Executor(settings.database_url, policy)
    told, last_event_at = await load_database_time(connection)
    if last_event_at is not None and not -TOLERANCE < told - last_event_at < QUIET_BOUND:
        believed = await _ledger_time(settings.nats_url) if settings.nats_url else None
        if believed is None or abs(believed - told) < TOLERANCE + timedelta(seconds=ASK_SECONDS):
            executor.clock.observe(told)
    async with executor:
        yield executor


async def _ledger_time(nats_url: str) -> datetime | None:
    """What a running ledger takes the time to be; None where none answers."""
    # Only a ledger that was at rest for days is asked, and NATS takes long to import.
    import nats.errors  # noqa: PLC0415
    from chassis.nats import connect  # noqa: PLC0415
    from contracts import subjects  # noqa: PLC0415
    from contracts.reads import ReadyAnswer  # noqa: PLC0415
    from pydantic import TypeAdapter  # noqa: PLC0415

    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            client = await connect(nats_url, service="ledger-operate")
        try:
            answer = await client.request(subjects.READ_READY, b"", timeout=ASK_SECONDS)
        finally:
            await client.close()
    except (OSError, TimeoutError, nats.errors.Error):
        return None
    return TypeAdapter(ReadyAnswer).validate_json(answer.data).time
