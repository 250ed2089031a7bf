"""The ledger's own executor for one command of an operator, beside running services or without any."""

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final

import asyncpg
from contracts.reads import ReadyAnswer
from msgspec import json

from ledger.application.database_clock import TOLERANCE, is_doubtful_start
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
    told, last_event_at, _ = await load_database_time(connection)
    if is_doubtful_start(told, last_event_at):
        ledger = await ask_ledger(settings.nats_url) if settings.nats_url else None
        if ledger is None or _believes(ledger, told):
            executor.clock.observe(told)
    async with executor:
        yield executor


def _believes(ledger: ReadyAnswer, told: datetime) -> bool:
    if ledger.clock_doubt_seconds:
        return False
    return ledger.time is None or abs(ledger.time - told) < TOLERANCE + timedelta(seconds=ASK_SECONDS)


async def ask_ledger(nats_url: str) -> ReadyAnswer | None:
    """What a running ledger says of itself; None where none answers."""
    # Only a ledger that was at rest for days is asked, and NATS takes long to import.
    from chassis.core_nats.client import CoreNats  # noqa: PLC0415
    from chassis.requests import AskError, ask  # noqa: PLC0415
    from contracts import subjects  # noqa: PLC0415

    decode = json.Decoder(ReadyAnswer).decode
    async with CoreNats(nats_url, service="operator") as client:
        await client.wait_connected(CONNECT_SECONDS)
        with contextlib.suppress(AskError):
            return await ask(client, subjects.READ_READY, decode, seconds=ASK_SECONDS)
    return None
