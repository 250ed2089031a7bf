"""The verbs over dead letters, for every service that keeps some."""

import contextlib
from collections.abc import Callable
from typing import Annotated, Final

from chassis.dead_letters import DeadLetters, DiscardedLetter, Retry
from chassis.operate.database import open_engine
from chassis.operate.errors import BadInputError, RefusedError
from chassis.operate.options import MAX_REASON_LENGTH, option, text
from chassis.operate.output import write_line
from chassis.operators import operator

_ID: Final = option("--id", parse=str, help="<service>:<number>")
_REASON: Final = option("--reason", parse=text(MAX_REASON_LENGTH), help="why; it stays with the letter")


class LetterVerbs:
    """`dead-letters`, `dead-letters-retry` and `dead-letters-discard`; `retrying` is open while letters are retried."""

    def __init__(
        self, letters: DeadLetters, retrying: Callable[[], contextlib.AbstractAsyncContextManager[Retry]]
    ) -> None:
        self._letters = letters
        self._retrying = retrying

    async def dead_letters(self) -> None:
        """What the service's consumers gave up on, as JSON lines."""
        async with (
            open_engine(self._letters.service) as engine,
            contextlib.aclosing(self._letters.load(engine)) as letters,
        ):
            async for letter in letters:
                write_line(self._letters.listed(letter))

    async def dead_letters_retry(self, letter_id: Annotated[str | None, _ID] = None) -> int:
        """Tries one dead letter again, or all that wait; exit 1 if one stays."""
        number = None if letter_id is None else self._number_of(letter_id)
        found, stayed = 0, 0
        async with (
            open_engine(self._letters.service) as engine,
            self._retrying() as retry,
            contextlib.aclosing(self._letters.retry(engine, number, retry)) as results,
        ):
            async for retried in results:
                write_line(retried)
                found += 1
                stayed += not retried.retried
        if letter_id is not None and not found:
            raise RefusedError(f"no dead letter {letter_id}")
        return 1 if stayed else 0

    async def dead_letters_discard(self, letter_id: Annotated[str, _ID], reason: Annotated[str, _REASON]) -> None:
        """Puts away a dead letter that can never succeed; it stays listed, with who did it and why."""
        number = self._number_of(letter_id)
        async with open_engine(self._letters.service) as engine:
            if not await self._letters.discard(engine, number, by=operator(), reason=reason):
                raise RefusedError(f"no dead letter {letter_id} waits")
        write_line(DiscardedLetter(self._letters.id_of(number)))

    def _number_of(self, letter_id: str) -> int:
        number = self._letters.number_of(letter_id)
        if number is None:
            service = self._letters.service
            raise BadInputError(f"ID: a dead letter of the {service} is named {service}:<number>")
        return number
