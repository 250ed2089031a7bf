"""How far the journal is published, remembered beside it."""

import os
from pathlib import Path

import msgspec
import structlog

from gateway.journal.segments import BEGINNING, Cursor

log = structlog.get_logger()


class Position(msgspec.Struct):
    """`published`: all before it is in JetStream, the last of it as `sequence` of the stream that was created at
    `stream_created`. `resend` walks up to `resend_until` when a stream was lost and everything kept is published anew.
    """

    published: Cursor = BEGINNING
    sequence: int = 0
    resend: Cursor | None = None
    resend_until: Cursor | None = None
    stream_created: str | None = None


class PositionFile:
    """A lost or torn file is harmless: everything kept is then published again, and counted once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Position:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Position)
        except FileNotFoundError:
            return Position()
        except (msgspec.MsgspecError, ValueError):
            log.warning("journal_position_unreadable")
            return Position()

    def save(self, position: Position) -> None:
        """Replace the file in one step. Raises OSError where the disk refuses it."""
        temporary = self._path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(position))
        os.replace(temporary, self._path)  # noqa: PTH105  the same call, without building a path
