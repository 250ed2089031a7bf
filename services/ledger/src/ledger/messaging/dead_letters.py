"""Tries again what the ledger's consumers gave up on, straight away and without NATS."""

from typing import Final

import asyncpg
from chassis.dead_letters import StoredLetter
from chassis.delivery import Delivery
from contracts import subjects
from contracts.errors import SolarisError
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.messaging import revenue
from ledger.messaging.billing import execute
from ledger.messaging.instructions import read_instruction
from ledger.messaging.usage import parse_usage

ANSWER_SECONDS: Final = 10.0


async def retry_letter(executor: Executor, connection: AsyncConnection, letter: StoredLetter) -> str | None:
    """Execute what the letter says, or note it on the connection; returns why it stays.

    The command is the consumer's own, so one that had its effect meanwhile has no second one.
    """
    try:
        match letter.consumer:
            case subjects.LEDGER_USAGE_CONSUMER:
                causation_id, command = parse_usage(letter.subject, letter.payload)
                await executor.submit(command, Kind.USAGE, deadline_seconds=ANSWER_SECONDS, causation_id=causation_id)
            case subjects.LEDGER_BILLING_CONSUMER:
                # It waited for what was missing before it, as long as is sensible.
                instruction = read_instruction(letter.subject, letter.payload, gap_allowed=True)
                await execute(executor, instruction, seconds=ANSWER_SECONDS)
            case subjects.PROJECTOR_BILLING_CONSUMER:
                await revenue.hear(connection, Delivery(letter.subject, letter.payload))
            case _:
                return f"messages of {letter.consumer} can't be retried here"
    except (SolarisError, asyncpg.PostgresError) as error:
        return str(error)
    return None
