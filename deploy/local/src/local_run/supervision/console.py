"""Writes lines to the terminal without ever holding up those who log."""

import contextlib
import queue
import sys
import threading
from typing import Final

_MAX_WAITING_LINES: Final = 5_000
_CLOSE_TIMEOUT_SECONDS: Final = 1.0
_IMPORTANT_TIMEOUT_SECONDS: Final = 5.0


class Console:
    """A bounded queue before standard output, emptied by a thread of its own.

    Whoever started us may never read our output, or may close it. Then lines are dropped here (the log files have
    them), and no service waits.
    """

    def __init__(self) -> None:
        self._stream = sys.stdout
        self._lines: queue.Queue[str | None] = queue.Queue(_MAX_WAITING_LINES)
        self._dropped = 0
        self.is_terminal = self._stream.isatty()
        self._thread = threading.Thread(target=self._write_all, name="console", daemon=True)
        self._thread.start()

    def log(self, line: str) -> None:
        """Write a line, or drop it where the reader is too slow."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def announce(self, text: str) -> None:
        """Write what must be seen; waits a little for a slow reader."""
        with contextlib.suppress(queue.Full):
            self._lines.put(text, timeout=_IMPORTANT_TIMEOUT_SECONDS)

    def close(self) -> None:
        """Write what waits, for a bounded time."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(_CLOSE_TIMEOUT_SECONDS)

    def _write_all(self) -> None:
        broken = False
        while (line := self._lines.get()) is not None:
            if broken:
                continue
            if self._dropped:
                line = f"({self._dropped} lines not shown here: see the log files)\n{line}"
                self._dropped = 0
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                broken = True
