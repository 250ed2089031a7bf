"""A service's log on disk, bounded in size."""

import contextlib
import os
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 10 * 1024 * 1024


class LogFile:
    """Appends lines; a full file becomes `<name>.1` in place of the one before. A full disk loses lines, never us."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._descriptor: int | None = None
        self._size = 0

    def write(self, line: bytes) -> None:
        with contextlib.suppress(OSError):
            if self._descriptor is None or self._size > self._max_bytes:
                self._open()
            if self._descriptor is not None:
                self._size += os.write(self._descriptor, line + b"\n")

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        self.close()
        if self._path.exists() and self._path.stat().st_size > self._max_bytes:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._descriptor).st_size
