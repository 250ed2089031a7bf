"""Keeps the demo's objects over restarts, in one SQLite file."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from local_run.demo_stripe.wire.shapes import Object

_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS objects (id TEXT PRIMARY KEY, position INTEGER NOT NULL, body TEXT NOT NULL) STRICT"
)
_BUSY_SECONDS: Final = 5.0


class KeepingError(Exception):
    """The file cannot be used; the text says why in one line."""


class Keeping:
    """Objects by id. Without a path they live as long as the process."""

    def __init__(self, path: Path | None) -> None:
        self._name = str(path) if path else ":memory:"
        try:
            if path is not None:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                # Secrets of webhooks are in it: for its owner alone, from its first byte on.
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(self._name, timeout=_BUSY_SECONDS)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(_TABLE)
            (self._position,) = self._connection.execute("SELECT coalesce(max(position), 0) FROM objects").fetchone()
        except (sqlite3.Error, OSError) as error:
            raise KeepingError(self._told(error)) from error

    def load(self) -> Iterator[Object]:
        """All objects, the oldest first.

        Raises:
            KeepingError: the file is damaged.
        """
        try:
            for (body,) in self._connection.execute("SELECT body FROM objects ORDER BY position"):
                kept: Object = json.loads(body)
                yield {"id": kept["id"], "object": kept["object"], **kept}
        except (sqlite3.Error, ValueError, LookupError, TypeError) as error:
            raise KeepingError(self._told(error)) from error

    def save(self, changed: Iterable[Object], removed: Iterable[str]) -> None:
        """All of it or nothing."""
        with self._connection:
            for each in changed:
                self._position += 1
                self._connection.execute(
                    "INSERT INTO objects (id, position, body) VALUES (?, ?, ?) "
                    "ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                    (each["id"], self._position, json.dumps(each, separators=(",", ":"))),
                )
            self._connection.executemany("DELETE FROM objects WHERE id = ?", [(each,) for each in removed])

    def close(self) -> None:
        self._connection.close()

    def _told(self, error: Exception) -> str:
        return f"cannot read the demo Stripe's file {self._name}: {error}; without it the demo starts anew"
