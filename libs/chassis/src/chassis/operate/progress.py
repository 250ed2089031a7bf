"""How far a long verb is, on standard error, where a person looks at it."""

import sys
import time
from types import TracebackType
from typing import Final, Self

TELL_SECONDS: Final = 0.5
_CLEAR_LINE: Final = "\r\x1b[K"


class Progress:
    """Within a `with` block; what is told stands on one line, which goes with the block. Elsewhere nothing is said."""

    def __init__(self, what: str, units: str) -> None:
        self._what = what
        self._units = units
        self._is_seen = sys.stderr.isatty()
        self._started = time.monotonic()
        self._told_at = self._started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_seen:
            sys.stderr.write(_CLEAR_LINE)
            sys.stderr.flush()

    def tell(self, done: int, of: int) -> None:
        """As often as one likes: it is shown twice a second."""
        now = time.monotonic()
        if not self._is_seen or now - self._told_at < TELL_SECONDS:
            return
        self._told_at = now
        sys.stderr.write(_CLEAR_LINE + progress_line(self._what, self._units, done, of, now - self._started))
        sys.stderr.flush()


def progress_line(what: str, units: str, done: int, of: int, seconds: float) -> str:
    """`replay of usage: 1,200,000 of 5,000,000 events (24 %), 61,234 a second, 1:02 left`."""
    rate = done / seconds if seconds > 0 else 0.0
    share = f" ({100 * done // of} %)" if of else ""
    text = f"{what}: {done:,} of {of:,} {units}{share}, {rate:,.0f} a second"
    if rate < 1:
        return text
    left = round(max(0, of - done) / rate)
    return f"{text}, {left // 60}:{left % 60:02} left"
