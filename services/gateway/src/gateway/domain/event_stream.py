"""Watches a server-sent event stream on its way through: finds usage, hides a chunk that nobody asked for."""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from contracts.usage import TokenUsage

from gateway.domain.output_text import output_texts
from gateway.domain.usage_figures import read_usage

MAX_EVENT_BYTES: Final = 1024 * 1024
"""A longer event is handed on unread: no usage chunk is that long."""
COMPACT_BYTES: Final = 48 * 1024
"""Stream bytes that are kept until their text is counted, per stream."""

# An object under one of these names; inside of texts the quotes are escaped, so that texts never match.
_CANDIDATE: Final = re.compile(rb'"usage"\s*:\s*\{|"error"\s*:\s*[{"]').search
_EVENT_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n")
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")

_decode = msgspec.json.Decoder().decode


class EventStream:
    """Feed it what arrives; it returns what to hand on, whole events wherever their end has arrived.

    `hide_usage_chunk`: drop the chunk that carries usage and nothing else (OpenAI's with `choices: []`, LiteLLM's
    with an empty delta). All other bytes are handed on as they came. `count_tokens` counts the text of a stream that
    ends without usage.
    """

    def __init__(self, *, hide_usage_chunk: bool, count_tokens: Callable[[str], int]) -> None:
        self._hide_usage_chunk = hide_usage_chunk
        self._count_tokens = count_tokens
        self._tail = b""
        self._uncounted: list[bytes] = []
        self._uncounted_bytes = 0
        self._counted_tokens = 0
        self.at_boundary = True
        """Whether an event of our own may be written now."""
        self.usage: TokenUsage | None = None
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
        """The stream is over: an event without its end is handed on, or dropped, as it stands."""
        rest, self._tail = self._tail, b""
        if rest:
            self._collect(rest)
            rest = self._inspect(rest)
        return rest

    def output_tokens(self) -> int:
        """Tokens of all text that has passed, by our own tokenizer."""
        self._count()
        return self._counted_tokens

    def _feed_pieces(self, data: bytes) -> bytes:
        looked_at = max(0, len(self._tail) - 3)
        buffer = self._tail + data if self._tail else data
        end = max(
            self._after(buffer, b"\n\n", looked_at),
            self._after(buffer, b"\n\r\n", looked_at),
            self._after(buffer, b"\r\r", looked_at),
        )
        complete, self._tail = buffer[:end], buffer[end:]
        if complete:
            self._collect(complete)
            if _CANDIDATE(complete) is not None:
                complete = b"".join(self._inspect(event) for event in _events(complete))
            self.at_boundary = True
        if len(self._tail) > MAX_EVENT_BYTES:
            complete, self._tail = complete + self._tail, b""
            self.at_boundary = False
        return complete

    @staticmethod
    def _after(buffer: bytes, ending: bytes, start: int) -> int:
        found = buffer.rfind(ending, start)
        return found + len(ending) if found >= 0 else 0

    def _inspect(self, event: bytes) -> bytes:
        """Note the event's usage or error; returns the event, or nothing if it is to be hidden."""
        chunk = _event_data(event)
        if not isinstance(chunk, dict):
            return event
        if chunk.get("error"):
            self.failed = True
        if not isinstance(chunk.get("usage"), dict):
            return event
        usage = read_usage(chunk["usage"])
        if usage is not None:
            self.usage = usage
        return b"" if self._hide_usage_chunk and _carries_usage_alone(chunk) else event

    def _collect(self, data: bytes) -> None:
        self._uncounted.append(data)
        self._uncounted_bytes += len(data)
        if self._uncounted_bytes > COMPACT_BYTES:
            self._count()

    def _count(self) -> None:
        data = b"".join(self._uncounted)
        self._uncounted.clear()
        self._uncounted_bytes = 0
        text = "".join(text for event in _events(data) for text in output_texts(_event_data(event)))
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


def _event_data(event: bytes) -> Any:
    """The decoded JSON of an event's data lines, or None."""
    lines = [line[5:] for line in _LINE_END.split(event) if line.startswith(b"data:")]
    try:
        return _decode(b"\n".join(lines)) if lines else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _carries_usage_alone(chunk: dict[str, Any]) -> bool:
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return choices is None
    return all(isinstance(choice, dict) and _is_empty(choice) for choice in choices)


def _is_empty(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta") or {}
    says_nothing = isinstance(delta, dict) and not any(value not in (None, "", [], {}) for value in delta.values())
    return says_nothing and choice.get("finish_reason") is None
