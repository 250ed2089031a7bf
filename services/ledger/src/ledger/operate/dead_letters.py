"""Lists what the ledger's consumers gave up on, and tries it again."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Final

import asyncpg
from contracts.deadletters import DeadLetter
from contracts.errors import NotFoundError, SolarisError
from contracts.subjects import LEDGER_USAGE_CONSUMER
from msgspec import Struct

from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.messaging.usage import InvalidUsageError, parse_usage
from ledger.store.dead_letter_list import StoredLetter, mark_retried, stored_letters

ANSWER_SECONDS: Final = 10.0


class Retried(Struct, frozen=True):
    """What a retry came to; `reason` says why the letter stays."""

    id: str
    retried: bool
    reason: str | None = None


async def dead_letters(connection: asyncpg.Connection) -> AsyncGenerator[DeadLetter]:
    async with contextlib.aclosing(stored_letters(connection)) as letters:
        async for letter in letters:
            yield DeadLetter(
                id=_id(letter),
                service="ledger",
                consumer=letter.consumer,
                subject=letter.subject,
                reason=letter.reason,
                failed_at=letter.failed_at,
                retried_at=letter.retried_at,
                payload=letter.payload.decode("utf-8", "backslashreplace"),
            )


async def retry_dead_letters(
    reader: asyncpg.Connection, writer: asyncpg.Connection, executor: Executor, number: int | None
) -> AsyncGenerator[Retried]:
    """Execute what the letters say, straight away and without NATS; a letter that was settled once is left out.

    The command is the consumer's own, so one that had its effect meanwhile has no second one.

    Raises:
        NotFoundError: no letter of that number.
    """
    found = False
    async with contextlib.aclosing(stored_letters(reader, number, waiting_only=number is None)) as letters:
        async for letter in letters:
            found = True
            reason = await _retry(executor, letter)
            if reason is None:
                await mark_retried(writer, letter.number)
            yield Retried(_id(letter), reason is None, reason)
    if number is not None and not found:
        raise NotFoundError(f"no dead letter ledger:{number}")


async def _retry(executor: Executor, letter: StoredLetter) -> str | None:
    if letter.consumer != LEDGER_USAGE_CONSUMER:
        return f"messages of {letter.consumer} can't be retried here"
    try:
        causation_id, command = parse_usage(letter.subject, letter.payload)
        await executor.submit(command, Kind.USAGE, deadline_seconds=ANSWER_SECONDS, causation_id=causation_id)
    except (InvalidUsageError, SolarisError, asyncpg.PostgresError) as error:
        return str(error)
    return None


def _id(letter: StoredLetter) -> str:
    return f"ledger:{letter.number}"
