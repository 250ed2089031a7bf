"""Makes a checkpoint: from the one before it and what came since, or from the whole log where there is none."""

import tempfile
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
from msgspec import Struct

from ledger.audit.checkpoints.document import Document, write_document
from ledger.audit.checkpoints.errors import CheckpointError
from ledger.audit.checkpoints.heads import Head, HeadsWriter
from ledger.audit.checkpoints.keys import Keys, SigningKey
from ledger.audit.checkpoints.opening import fetch_document
from ledger.audit.checkpoints.shelf import Shelf, expendable
from ledger.audit.checkpoints.statement import Statement
from ledger.audit.problems import Problems
from ledger.audit.since import check_since, heads_at
from ledger.audit.verify import Broken, broken, verify
from ledger.store.heads import database_time, first_event_id, take_turn
from ledger.store.log import connect, newest_position

SOON_SECONDS: Final = 60
"""When to look again where another process is at it, or nothing has happened yet."""


class Made(Struct, frozen=True):
    """A checkpoint that is kept now, and how many old ones were removed; `key` is the public half of what signed it."""

    statement: Statement
    key: str
    place: str
    bytes: int
    seconds: float
    removed: int


class NotDue(Struct, frozen=True):
    """None was made: the latest is young enough, another process is making one, or there are no events yet."""

    due_in_seconds: int
    statement: Statement | None


class Maker:
    """Makes checkpoints of one ledger, each in its turn, onto one shelf."""

    def __init__(self, database_url: str, shelf: Shelf, keys: Keys, keep_days: int) -> None:
        self._database_url = database_url
        self._shelf = shelf
        self._keys = keys
        self._keep_days = keep_days

    async def make(self, *, anew: str | None = None, due_seconds: int | None = None) -> Made | NotDue | Broken:
        """Make the next one, unless the log contradicts the latest: then what is wrong is told, and nothing is made.

        With `anew`, a reason, the latest is not regarded, and the whole log is verified as for the first. With
        `due_seconds` one is made only where the latest is that old.

        Raises:
            CheckpointError: there is no key or no event, the shelf does not do what it should, the latest is not to be
                believed, or another process makes one.
        """
        if self._keys.signing is None:
            raise CheckpointError("no key signs checkpoints: set SOLARIS_CHECKPOINT_KEY or SOLARIS_CHECKPOINT_KEY_FILE")
        connection = await connect(self._database_url)
        try:
            if not await take_turn(connection):
                if due_seconds is not None:
                    return NotDue(SOON_SECONDS, None)
                raise CheckpointError("another process is making a checkpoint just now")
            with tempfile.TemporaryDirectory(prefix="solaris-checkpoint-") as folder:
                return await self._make(connection, self._keys.signing, Path(folder), anew, due_seconds)
        except OSError as error:
            raise CheckpointError(f"the checkpoint can't be written down: {error.strerror or error}") from error
        finally:
            connection.terminate()

    async def _make(
        self, connection: asyncpg.Connection, key: SigningKey, folder: Path, anew: str | None, due_seconds: int | None
    ) -> Made | NotDue | Broken:
        started = time.perf_counter()
        numbers = self._shelf.numbers()
        number = numbers[-1] + 1 if numbers else 1
        latest: Document | None = None
        if numbers and anew is None:
            latest = fetch_document(self._shelf, numbers[-1], self._keys, folder)
        now = await database_time(connection)
        if latest is not None and due_seconds is not None:
            left = due_in(latest.statement.made_at, now, due_seconds)
            if left > 0:
                return NotDue(left, latest.statement)
        ledger = await first_event_id(connection)
        if ledger is None and latest is None:
            if due_seconds is not None:
                return NotDue(SOON_SECONDS, None)
            raise CheckpointError("the ledger has no events yet: there is nothing to state")
        problems, heads_path = Problems(), folder / "heads"
        writer = HeadsWriter(heads_path)
        try:
            position = await newest_position(connection)
            if latest is None:
                whole = await verify(self._database_url)
                if isinstance(whole, Broken):
                    return whole
                position = whole.checkpoint.position
            async for head in _heads(connection, latest, position, problems):
                writer.add(head)
        finally:
            writer.close()
        if problems.count:
            return broken(problems, writer.events, writer.accounts, round(time.perf_counter() - started, 3))
        assert ledger is not None, "a log that has a checkpoint has events, or that is a problem"
        statement = Statement(
            number=number,
            ledger=ledger,
            position=position,
            events=writer.events,
            accounts=writer.accounts,
            digest=writer.digest,
            made_at=now,
            anew=anew,
        )
        document = folder / "document"
        write_document(document, statement, key, heads_path)
        self._shelf.put(number, document)
        removed = self._remove_expendable([*numbers, number])
        seconds = round(time.perf_counter() - started, 3)
        return Made(statement, key.public, self._shelf.place, document.stat().st_size, seconds, removed)

    def _remove_expendable(self, numbers: list[int]) -> int:
        removed = expendable(numbers, self._keep_days)
        for number in removed:
            self._shelf.remove(number)
        return len(removed)


def due_in(made_at: datetime, now: datetime, due_seconds: int) -> int:
    """Seconds until the next one is due; one that seems to be of the future was made by a wrong clock, and is due."""
    age = now - made_at
    if age < timedelta():
        return 0
    return max(0, due_seconds - int(age.total_seconds()))


def _heads(
    connection: asyncpg.Connection, latest: Document | None, position: int, problems: Problems
) -> AsyncIterator[Head]:
    if latest is None:
        return heads_at(connection, position, problems)
    return check_since(connection, latest.statement, latest.heads(), position, problems)
