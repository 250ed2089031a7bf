"""Tries again what the ledger's consumers gave up on, straight away and without NATS."""

from typing import Final

import asyncpg
from chassis.dead_letters import StoredLetter
from contracts.errors import SolarisError
from contracts.subjects import LEDGER_USAGE_CONSUMER

from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.messaging.usage import parse_usage

ANSWER_SECONDS: Final = 10.0


async def retry_letter(executor: Executor, letter: StoredLetter) -> str | None:
    """Execute what the letter says; returns why it stays.

    The command is the consumer's own, so one that had its effect meanwhile has no second one.
    """
    if letter.consumer != LEDGER_USAGE_CONSUMER:
        return f"messages of {letter.consumer} can't be retried here"
    try:
        causation_id, command = parse_usage(letter.subject, letter.payload)
        await executor.submit(command, Kind.USAGE, deadline_seconds=ANSWER_SECONDS, causation_id=causation_id)
    except (SolarisError, asyncpg.PostgresError) as error:
        return str(error)
    return None
