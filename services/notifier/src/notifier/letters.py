"""Dead letters for the operator's commands, over an engine of their own."""

import contextlib
from collections.abc import AsyncIterator

from chassis.dead_letters import Retried
from chassis.operators import operator
from chassis.postgres import create_engine
from contracts.codec import encode
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.redelivery import retry
from notifier.store.tables import LETTERS


@contextlib.asynccontextmanager
async def _engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, service="notifier-operate")
    try:
        yield engine
    finally:
        await engine.dispose()


async def listing(database_url: str) -> list[str]:
    """All dead letters as JSON lines, oldest first."""
    async with _engine(database_url) as engine:
        return [encode(LETTERS.listed(letter)).decode() async for letter in LETTERS.load(engine)]


async def retry_letters(database_url: str, number: int | None) -> list[Retried]:
    async with _engine(database_url) as engine:
        return [retried async for retried in LETTERS.retry(engine, number, retry)]


async def discard_letter(database_url: str, number: int, reason: str) -> bool:
    async with _engine(database_url) as engine:
        return await LETTERS.discard(engine, number, by=operator(), reason=reason)
