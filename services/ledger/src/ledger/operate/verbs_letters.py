"""The verbs over dead letters."""

import contextlib
from collections.abc import AsyncIterator

from chassis.dead_letters import DiscardedLetter
from chassis.operators import operator
from chassis.postgres import create_engine
from contracts.errors import NotFoundError
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.operate import database
from ledger.operate.dead_letters import retry_letter
from ledger.operate.executing import open_executor
from ledger.operate.inputs import dead_letter_number, dead_letter_to_discard, reason_of
from ledger.operate.output import write_line
from ledger.operate.service import load_settings
from ledger.store.dead_letters import LETTERS


@contextlib.asynccontextmanager
async def _engine(url: str) -> AsyncIterator[AsyncEngine]:
    await database.probe(url)
    engine = create_engine(url, service="ledger-operate")
    try:
        yield engine
    finally:
        await engine.dispose()


async def dead_letters() -> None:
    async with _engine(database.database_url()) as engine, contextlib.aclosing(LETTERS.load(engine)) as letters:
        async for letter in letters:
            write_line(LETTERS.listed(letter))


async def dead_letters_retry(letter_id: str | None) -> int:
    number = dead_letter_number(letter_id)
    settings, policy = load_settings()
    connection = await database.connect(settings.database_url)
    found, stayed = 0, 0
    try:
        async with (
            open_executor(settings, policy, connection) as executor,
            _engine(settings.database_url) as engine,
            contextlib.aclosing(
                LETTERS.retry(engine, number, lambda _, letter: retry_letter(executor, letter))
            ) as results,
        ):
            async for retried in results:
                write_line(retried)
                found += 1
                stayed += not retried.retried
    finally:
        connection.terminate()
    if number is not None and not found:
        raise NotFoundError(f"no dead letter {LETTERS.id_of(number)}")
    return 1 if stayed else 0


async def dead_letters_discard(letter_id: str | None, reason: str | None) -> None:
    number, given = dead_letter_to_discard(letter_id), reason_of(reason)
    async with _engine(database.database_url()) as engine:
        if not await LETTERS.discard(engine, number, by=operator(), reason=given):
            raise NotFoundError(f"no dead letter {LETTERS.id_of(number)} waits")
    write_line(DiscardedLetter(LETTERS.id_of(number)))
