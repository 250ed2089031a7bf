"""Lists what the ledger's consumers gave up on, tries it again, or puts it away."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Final

import asyncpg
from chassis.operators import operator
from contracts.deadletters import DeadLetter, Discarded
from contracts.errors import NotFoundError, SolarisError
from contracts.subjects import LEDGER_USAGE_CONSUMER
from msgspec import Struct

from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.messaging.usage import InvalidUsageError, parse_usage
from ledger.store.dead_letter_list import StoredLetter, discard_letter, mark_retried, stored_letters

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
                discarded=_discarded(letter),
                payload=letter.payload.decode("utf-8", "backslashreplace"),
            )


async def retry_dead_letters(
    reader: asyncpg.Connection, writer: asyncpg.Connection, executor: Executor, number: int | None
) -> AsyncGenerator[Retried]:
    """Execute what the letters say, straight away and without NATS; a letter that is settled is left out.

    The command is the consumer's own, so one that had its effect meanwhile has no second one.

    Raises:
        NotFoundError: no letter of that number.
    """
    found = False
    async with contextlib.aclosing(stored_letters(reader, number, waiting_only=number is None)) as letters:
        async for letter in letters:
            found = True
            reason = _why_not(letter) or await _retry(executor, letter)
            if reason is None:
                await mark_retried(writer, letter.number)
            yield Retried(_id(letter), reason is None, reason)
    if number is not None and not found:
        raise NotFoundError(f"no dead letter ledger:{number}")


class DiscardedLetter(Struct, frozen=True):
    """A letter that was discarded."""

    id: str
    discarded: bool


async def discard_dead_letter(connection: asyncpg.Connection, number: int, reason: str) -> DiscardedLetter:
    """Put a letter away that can never succeed: it stays listed, and waits no more.

    Raises:
        NotFoundError: no letter of that number waits.
    """
    if not await discard_letter(connection, number, by=operator(), reason=reason):
        raise NotFoundError(f"no dead letter ledger:{number} waits")
    return DiscardedLetter(f"ledger:{number}", discarded=True)


def _discarded(letter: StoredLetter) -> Discarded | None:
    if letter.discarded_at is None or letter.discarded_by is None or letter.discard_reason is None:
        return None
    return Discarded(at=letter.discarded_at, by=letter.discarded_by, reason=letter.discard_reason)


def _why_not(letter: StoredLetter) -> str | None:
    return None if letter.discarded_at is None else f"discarded by {letter.discarded_by}: {letter.discard_reason}"


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
