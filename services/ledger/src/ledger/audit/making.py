"""Makes a checkpoint: from the one before it and what came since, or from the whole log where there is none."""

import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
from msgspec import Struct

from ledger.audit.checkpoints.document import Document, write_document
from ledger.audit.checkpoints.errors import CheckpointError, TakenError
from ledger.audit.checkpoints.heads import HeadsWriter
from ledger.audit.checkpoints.keys import Keys, SigningKey
from ledger.audit.checkpoints.opening import fetch_document
from ledger.audit.checkpoints.shelf import Shelf, expendable
from ledger.audit.checkpoints.statement import Statement
from ledger.audit.problems import Problems
from ledger.audit.since import check_since, heads_at
from ledger.audit.verify import Broken, broken, verify
from ledger.store.heads import database_time, first_event_id, taken_turn
from ledger.store.log import connect, newest_position

SOON_SECONDS: Final = 60
"""When to look again where another process is at it, or nothing has happened yet."""


class Made(Struct, frozen=True):
    """A checkpoint that is kept now; `key` is the public half of what signed it.

    So many old ones were `removed`; `not_removed` is why others could not be that should.
    """

    statement: Statement
    key: str
    place: str
    bytes: int
    seconds: float
    removed: int
    not_removed: str | None


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
        try:
            async with taken_turn(self._database_url) as is_ours:
                if is_ours:
                    with tempfile.TemporaryDirectory(prefix="solaris-checkpoint-") as folder:
                        return await self._make_next(self._keys.signing, Path(folder), anew, due_seconds)
        except TakenError:  # by a process that was frozen within its turn
            if due_seconds is None:
                raise
        except (TimeoutError, ConnectionError):
            raise  # the database's
        except OSError as error:
            raise CheckpointError(f"the checkpoint can't be written down: {error.strerror or error}") from error
        if due_seconds is not None:
            return NotDue(SOON_SECONDS, None)
        raise CheckpointError("another process is making a checkpoint just now")

    async def _make_next(
        self, key: SigningKey, folder: Path, anew: str | None, due_seconds: int | None
    ) -> Made | NotDue | Broken:
        started = time.perf_counter()
        numbers = self._shelf.numbers()
        latest: Document | None = None
        if numbers and anew is None:
            latest = fetch_document(self._shelf, numbers[-1], self._keys, folder)
        connection = await connect(self._database_url)
        try:
            now = await database_time(connection)
            if latest is not None and due_seconds is not None:
                left = due_in(latest.statement.made_at, now, due_seconds)
                if left > 0:
                    return NotDue(left, latest.statement)
            ledger = await first_event_id(connection)
            if ledger is None and latest is None and due_seconds is not None:
                return NotDue(SOON_SECONDS, None)
            found = await self._write_heads(connection, latest, folder / "heads")
        finally:
            connection.terminate()
        if isinstance(found, Broken):
            return found
        if ledger is None:
            raise CheckpointError("the ledger has no events yet: there is nothing to state")
        statement = Statement(
            number=numbers[-1] + 1 if numbers else 1,
            ledger=ledger,
            position=found.position,
            events=found.events,
            accounts=found.accounts,
            digest=found.digest,
            made_at=now,
            anew=anew,
        )
        document = folder / "document"
        write_document(document, statement, key, folder / "heads")
        self._shelf.put(statement.number, document)
        removed, not_removed = self._remove_expendable([*numbers, statement.number])
        seconds = round(time.perf_counter() - started, 3)
        size = document.stat().st_size
        return Made(statement, key.public, self._shelf.place, size, seconds, removed, not_removed)

    async def _write_heads(
        self, connection: asyncpg.Connection, latest: Document | None, path: Path
    ) -> "_Stated | Broken":
        started, problems = time.perf_counter(), Problems()
        if latest is None:
            whole = await verify(self._database_url)
            if isinstance(whole, Broken):
                return whole
            position = whole.checkpoint.position
            heads = heads_at(connection, position, problems)
        else:
            position = await newest_position(connection)
            heads = check_since(connection, latest.statement, latest.heads(), position, problems)
        writer = HeadsWriter(path)
        try:
            async for head in heads:
                writer.add(head)
        finally:
            writer.close()
        if problems.count:
            return broken(problems, writer.events, writer.accounts, round(time.perf_counter() - started, 3))
        return _Stated(position, writer.events, writer.accounts, writer.digest)

    def _remove_expendable(self, numbers: list[int]) -> tuple[int, str | None]:
        """How many were removed, and why no more: what was made is made, though an old one can't be removed."""
        removed = 0
        try:
            for number in expendable(numbers, self._keep_days):
                self._shelf.remove(number)
                removed += 1
        except CheckpointError as error:
            return removed, str(error)
        return removed, None


class _Stated(Struct, frozen=True):
    position: int
    events: int
    accounts: int
    digest: str


def due_in(made_at: datetime, now: datetime, due_seconds: int) -> int:
    """Seconds until the next one is due; one that seems to be of the future was made by a wrong clock, and is due."""
    age = now - made_at
    if age < timedelta():
        return 0
    return max(0, due_seconds - int(age.total_seconds()))
