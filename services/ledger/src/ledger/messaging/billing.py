"""Hears what billing says on its stream, each once and in its order, and has the executor carry it out."""

import asyncio
from collections import OrderedDict
from typing import Final

import structlog
from chassis.dead_letters import PoisonError
from chassis.delivery import Delivery, NotYetError
from contracts.errors import PrematureError, SolarisError, UnavailableError
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.application.executor import BusyError, Executor
from ledger.application.submission import Kind
from ledger.messaging.instructions import Instruction, read_instruction

ANSWER_SECONDS: Final = 4.0
"""Within the consumer's ack wait, so that a message does not come again while it is still carried out."""
PATIENCE_SECONDS: Final = 600.0
"""For how long what comes too early waits for what was said before it: longer than that takes to come again."""
MAX_WAITING: Final = 10_000

log = structlog.get_logger()


class Hearing:
    """What becomes of each message of billing.

    `commands` of the ledger know what was carried out, by what billing calls it: an inbox beside them would know less,
    for the same event comes under several message ids.
    """

    def __init__(self, executor: Executor, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._executor = executor
        self._patience_seconds = patience_seconds
        self._waiting_since: OrderedDict[str, float] = OrderedDict()

    async def hear(self, _: AsyncConnection, delivery: Delivery) -> None:
        """Carry out what the message says, once.

        Raises:
            NotYetError: something said before it has not come, or the database does not answer.
            PoisonError: it can't be carried out, or what it builds on has not come for long.
        """
        instruction = read_instruction(delivery.subject, delivery.payload)
        try:
            try:
                await execute(self._executor, instruction)
            except PrematureError as error:
                if not self._has_waited_long(instruction):
                    raise NotYetError(str(error)) from error
                log.warning("billing_gap_passed_over", command=instruction.idempotency.command_id, reason=str(error))
                await execute(self._executor, read_instruction(delivery.subject, delivery.payload, gap_allowed=True))
        except (UnavailableError, BusyError) as error:
            raise NotYetError(str(error) or type(error).__name__) from error
        except SolarisError as error:
            self._waiting_since.pop(instruction.idempotency.command_id, None)
            raise PoisonError(str(error)) from error
        self._waiting_since.pop(instruction.idempotency.command_id, None)

    def _has_waited_long(self, instruction: Instruction) -> bool:
        """By this process's own clock: how often a message came says nothing, as it comes again through an outage."""
        now = asyncio.get_running_loop().time()
        since = self._waiting_since.setdefault(instruction.idempotency.command_id, now)
        while len(self._waiting_since) > MAX_WAITING:
            self._waiting_since.popitem(last=False)
        return now - since >= self._patience_seconds


async def execute(executor: Executor, instruction: Instruction, *, seconds: float = ANSWER_SECONDS) -> None:
    """Returns once it is committed.

    Raises:
        SolarisError: it was refused, or the database does not answer.
        BusyError: too much waits.
    """
    await executor.submit(
        instruction.command,
        Kind.ADMIN,
        deadline_seconds=seconds,
        idempotency=instruction.idempotency,
        causation_id=instruction.event_id,
    )
