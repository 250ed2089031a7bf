"""Watches a server-sent event stream on its way through: finds usage, hides a chunk that nobody asked for."""

import re
from collections.abc import Callable
from typing import Any, Final

from gateway.domain.lenient_json import decoded_or_none
from gateway.domain.long_event import LongEvent
from gateway.domain.output_text import output_texts, produces_anything
from gateway.domain.usage_figures import Figures, answer_figures, carries_usage

MAX_EVENT_BYTES: Final = 64 * 1024
"""A longer event is handed on as it comes and read by its short copy: no chunk that is to be hidden is as long."""
COMPACT_BYTES: Final = 48 * 1024
"""Stream bytes that are kept until their text is counted, per stream."""
_LAST_WORDS: Final = len(b"data: [DONE]\r\n\r\n")
"""What may follow the final figures: bytes that hold no text."""

# An object under one of these names; inside of texts the quotes are escaped, so that texts never match.
_CANDIDATE: Final = re.compile(rb'"usage"\s*:\s*(?:data:\s*)?\{|"error"\s*:\s*[{"]').search
_EVENT_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_TWO_DATA_LINES: Final = re.compile(rb"(?:^|\n)data:([^\r\n]*)\r?\ndata:").search


class EventStream:
    """Feed it what arrives; it returns what to hand on, whole events wherever their end has arrived.

    `hide_usage_chunk`: drop the chunk that carries usage and nothing else (OpenAI's with `choices: []`, LiteLLM's
    with an empty delta). All other bytes are handed on as they came. `count_tokens` counts the text of a stream that
    ends without usage. Where data lines follow each other without blank lines, each of them is an event.
    """

    def __init__(self, *, hide_usage_chunk: bool, count_tokens: Callable[[str], int]) -> None:
        self._hide_usage_chunk = hide_usage_chunk
        self._count_tokens = count_tokens
        self._tail = b""
        self._long: LongEvent | None = None
        self._by_line = False
        self._uncounted: list[bytes] = []
        self._uncounted_bytes = 0
        self._counted_bytes = 0
        self._counted_tokens = 0
        self._produced = False
        self._bytes_at_figures = 0
        self.at_boundary = True
        """Whether an event of our own may be written now, after `gap`."""
        self.figures: Figures | None = None
        self.failed = False
        """Whether the upstream told of an error inside the stream."""

    def feed(self, data: bytes) -> bytes:
        """Take in what has arrived; returns what can be handed on, possibly nothing."""
        if not self._tail and data.endswith(b"\n\n") and _CANDIDATE(data) is None:
            self._collect(data)
            self.at_boundary = True
            return data
        return self._feed_pieces(data)

    def end(self) -> bytes:
        """The stream is over: an event without its end is handed on, or dropped, as it stands.

        An error that stands there bare, without `data:`, becomes an event: else nobody would read it.
        """
        rest, self._tail = self._tail, b""
        if self._long is not None:
            self._end_long()
            return b""
        if not rest:
            return b""
        self._collect(rest)
        rest = self._inspect(rest, self._seen_bytes)
        if self.failed and rest.lstrip().startswith(b"{"):
            return self.gap + b"data: " + b" ".join(rest.split()) + b"\n\n"
        return rest

    @property
    def gap(self) -> bytes:
        """What must stand before an event of our own."""
        if self._by_line:
            return b"\n"
        return b"" if self.at_boundary else b"\n\n"

    @property
    def produced(self) -> bool:
        """Whether anything of a model's has passed: text, a tool's call, a picture, sound."""
        self._count()
        return self._produced

    @property
    def text_after_figures(self) -> bool:
        """Whether the last figures were not the stream's last word, so that more may have been used than they say."""
        return self._seen_bytes - self._bytes_at_figures > _LAST_WORDS

    @property
    def _seen_bytes(self) -> int:
        return self._counted_bytes + self._uncounted_bytes

    def output_tokens(self) -> int:
        """Tokens of all text that has passed, by our own tokenizer."""
        self._count()
        return self._counted_tokens

    def _feed_pieces(self, data: bytes) -> bytes:
        if self._long is not None:
            return self._feed_long(data)
        looked_at = max(0, len(self._tail) - 3)
        buffer = self._tail + data if self._tail else data
        end = self._events_end(buffer, looked_at)
        if not end and not self._by_line and b"\ndata:" in buffer and _goes_by_line(buffer):
            self._by_line = True
            end = self._events_end(buffer, 0)
        complete, self._tail = buffer[:end], buffer[end:]
        if complete:
            complete = self._pass(complete)
        if len(self._tail) > MAX_EVENT_BYTES:
            self._long = LongEvent(self._count_text)
            begun, self._tail = self._tail, b""
            complete += self._feed_long(begun)
        return complete

    def _pass(self, complete: bytes) -> bytes:
        self._collect(complete)
        self.at_boundary = True
        if _CANDIDATE(complete) is None:
            return complete
        seen = self._seen_bytes - len(complete)
        kept: list[bytes] = []
        for event in complete.splitlines(keepends=True) if self._by_line else _events(complete):
            seen += len(event)
            kept.append(self._inspect(event, seen))
        return b"".join(kept)

    def _feed_long(self, data: bytes) -> bytes:
        """The event is handed on as it comes; `_tail` holds its last bytes, which may begin its end."""
        assert self._long is not None
        known = len(self._tail)
        buffer = self._tail + data
        found = _LINE_END.search(buffer) if self._by_line else _EVENT_END.search(buffer)
        if found is None:
            self._long.feed(data)
            self._tail = buffer[-3:]
            self.at_boundary = False
            return data
        cut = max(0, found.end() - known)
        self._long.feed(data[:cut])
        self._tail = b""
        self._end_long()
        rest = data[cut:]
        return data[:cut] + (self.feed(rest) if rest else b"")

    def _end_long(self) -> None:
        assert self._long is not None
        copy, self._long = self._long.end(), None
        self._collect(copy)
        self._inspect(copy, self._seen_bytes)
        self.at_boundary = True

    def _events_end(self, buffer: bytes, start: int) -> int:
        """Where the last complete event ends; 0 where none is complete."""
        if self._by_line:
            return self._after(buffer, b"\n", start)
        return max(
            self._after(buffer, b"\n\n", start),
            self._after(buffer, b"\n\r\n", start),
            self._after(buffer, b"\r\r", start),
        )

    @staticmethod
    def _after(buffer: bytes, ending: bytes, start: int) -> int:
        found = buffer.rfind(ending, start)
        return found + len(ending) if found >= 0 else 0

    def _inspect(self, event: bytes, seen_bytes: int) -> bytes:
        """Note the event's usage or error; returns the event, or nothing if it is to be hidden."""
        chunks = [chunk for chunk in _chunks(event) if isinstance(chunk, dict)]
        hidden = self._hide_usage_chunk and bool(chunks)
        for chunk in chunks:
            if chunk.get("error"):
                self.failed = True
            has_usage = carries_usage(chunk)
            hidden = hidden and has_usage and _carries_usage_alone(chunk)
            figures = answer_figures(chunk) if has_usage else None
            if figures is not None and (figures.complete or self.figures is None):
                self.figures = figures
                self._bytes_at_figures = seen_bytes
        return b"" if hidden else event

    def _collect(self, data: bytes) -> None:
        self._uncounted.append(data)
        self._uncounted_bytes += len(data)
        if self._uncounted_bytes > COMPACT_BYTES:
            self._count()

    def _count(self) -> None:
        data = b"".join(self._uncounted)
        self._uncounted.clear()
        self._counted_bytes += self._uncounted_bytes
        self._uncounted_bytes = 0
        chunks = [chunk for event in _events(data) for chunk in _chunks(event)]
        self._produced = self._produced or any(produces_anything(chunk) for chunk in chunks)
        self._count_text("".join(text for chunk in chunks for text in output_texts(chunk)))

    def _count_text(self, text: str) -> None:
        if text:
            self._counted_tokens += self._count_tokens(text)


def _events(data: bytes) -> list[bytes]:
    """The events in `data`, each with the blank line that ends it."""
    events: list[bytes] = []
    start = 0
    for match in _EVENT_END.finditer(data):
        events.append(data[start : match.end()])
        start = match.end()
    if start < len(data):
        events.append(data[start:])
    return events


def _goes_by_line(buffer: bytes) -> bool:
    """Whether a data line that is complete JSON is followed by another one instead of a blank line."""
    lines = _TWO_DATA_LINES(buffer)
    return lines is not None and isinstance(decoded_or_none(lines[1]), dict)


def _chunks(event: bytes) -> list[Any]:
    """The decoded JSON of an event: of its data lines together, else of each; or of all of it, where it has none."""
    if event.startswith(b"data:") and event.find(b"\n") >= len(event) - 2 and b"\r" not in event:
        return [decoded_or_none(event[5:])]  # one line, as nearly always
    lines = [line[5:] for line in _LINE_END.split(event) if line.startswith(b"data:")]
    if not lines:
        return [decoded_or_none(event)] if event.lstrip().startswith(b"{") else []
    whole = decoded_or_none(b"\n".join(lines))
    if whole is None and len(lines) > 1:
        return [chunk for line in lines if (chunk := decoded_or_none(line)) is not None]
    return [whole]


def _carries_usage_alone(chunk: dict[str, Any]) -> bool:
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return choices is None
    return all(isinstance(choice, dict) and _is_empty(choice) for choice in choices)


def _is_empty(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta") or {}
    says_nothing = isinstance(delta, dict) and not any(value not in (None, "", [], {}) for value in delta.values())
    return says_nothing and choice.get("finish_reason") is None
