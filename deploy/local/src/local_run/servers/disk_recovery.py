"""Restarts NATS once the disk has room again.

A JetStream stream that failed to write refuses every later message with that same old error, until the server is
started anew (nats-server 2.15.0). Everybody else recovers by themselves.
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

ENOUGH_FREE_BYTES: Final = 64 * 1024 * 1024
CHECK_SECONDS: Final = 2.0
_SYMPTOM: Final = b"no space left on device"


class DiskRecovery:
    """`see` each line of NATS's log; `run` calls `restart` when NATS has met a full disk and there is room again."""

    def __init__(
        self,
        directory: Path,
        restart: Callable[[], None],
        *,
        free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._directory = directory
        self._restart = restart
        self._free_bytes = free_bytes
        self._check_seconds = check_seconds
        self._is_ill = False

    def see(self, line: bytes) -> None:
        if _SYMPTOM in line:
            self._is_ill = True

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await asyncio.sleep(self._check_seconds)
            if self._is_ill and self._has_room():
                self._is_ill = False
                self._restart()

    def _has_room(self) -> bool:
        try:
            return self._free_bytes(self._directory) >= ENOUGH_FREE_BYTES
        except OSError:
            return False
