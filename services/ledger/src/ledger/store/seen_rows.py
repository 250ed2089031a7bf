"""Remembers what stood in a long file without holding it in memory: a private table of digests on disk."""

import sqlite3
from hashlib import blake2b
from types import TracebackType
from typing import Self


class SeenRows:
    """Within a `with` block; the table is nobody else's, and goes with the block or the process."""

    def __init__(self) -> None:
        # Without a name: SQLite keeps a little of it in memory, and the rest in a file that is deleted already.
        self._table = sqlite3.connect("", isolation_level=None)
        self._table.execute("PRAGMA synchronous = OFF")
        self._table.execute("PRAGMA journal_mode = OFF")
        self._table.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY, row INTEGER NOT NULL) WITHOUT ROWID")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.close()

    def note(self, field: str, value: str, row: int) -> int | None:
        """The row in which this value of the field stood before; None where it is new, and remembered."""
        digest = blake2b(f"{field}:{value}".encode(), digest_size=16).digest()
        noted = self._table.execute("INSERT INTO seen VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, row))
        if noted.rowcount:
            return None
        found: int = self._table.execute("SELECT row FROM seen WHERE digest = ?", (digest,)).fetchone()[0]
        return found
