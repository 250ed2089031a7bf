"""An event too long to keep: a short copy of it without its long strings, whose text is counted as it passes."""

import codecs
import json
import re
from collections.abc import Callable
from typing import Final

from gateway.domain.output_text import TEXT_NAMES

KEPT_STRING_BYTES: Final = 4 * 1024
"""Of each string; what follows is left out of the copy."""
MAX_COPY_BYTES: Final = 256 * 1024
"""What is longer without its long strings is no chunk of a chat: its copy ends there, and can't be decoded."""
_COUNTED_CHARACTERS: Final = 48 * 1024

_TEXT_NAMES: Final = frozenset(name.encode() for name in TEXT_NAMES)
_IN_STRING: Final = re.compile(rb'(?:[^"\\]|\\.)*+', re.DOTALL).match
_WHOLE_ESCAPES: Final = re.compile(r'(?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*+', re.DOTALL).match
_WHOLE_ESCAPE_BYTES: Final = re.compile(rb'(?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*+', re.DOTALL).match
_LONGEST_ESCAPE: Final = len(r"\u1234")


class LongEvent:
    """Feed it the event's bytes as they pass; memory stays bounded however long it is."""

    def __init__(self, count_text: Callable[[str], None]) -> None:
        self._count_text = count_text
        self._copy = bytearray()
        self._carry = b""
        self._in_string = False
        self._string_bytes = 0
        self._string_head = b""
        self._last_string = b""
        self._after_colon = False
        self._text: list[str] = []
        self._text_length = 0
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> None:
        """Take in the next bytes of the event."""
        buffer, self._carry = self._carry + data, b""
        position = 0
        while position < len(buffer):
            if not self._in_string:
                position = self._structure(buffer, position)
                continue
            found = _IN_STRING(buffer, position)
            end = position if found is None else found.end()
            self._string(buffer[position:end])
            if end == len(buffer):
                return
            if buffer[end : end + 1] == b"\\":  # its second half has not arrived
                self._carry = buffer[end:]
                return
            self._end_string()
            position = end + 1

    def end(self) -> bytes:
        """The copy: decodable like any event, with its long strings cut."""
        self._count()
        return self._copy.decode("utf-8", "ignore").encode()  # a string may be cut within a character

    def _structure(self, buffer: bytes, position: int) -> int:
        quote = buffer.find(b'"', position)
        end = len(buffer) if quote < 0 else quote
        between = buffer[position:end]
        self._keep(between)
        if between.strip():
            self._after_colon = between.rstrip().endswith(b":")
        if quote < 0:
            return end
        self._keep(b'"')
        self._in_string, self._string_bytes, self._string_head = True, 0, b""
        return quote + 1

    def _string(self, piece: bytes) -> None:
        kept = piece[: max(0, KEPT_STRING_BYTES - self._string_bytes)]
        if len(kept) < len(piece) and (whole := _WHOLE_ESCAPE_BYTES(kept)) is not None:
            kept = whole[0]
        self._keep(kept)
        if self._string_bytes < KEPT_STRING_BYTES:
            self._string_head += kept
        if self._after_colon and self._last_string in _TEXT_NAMES:
            text = self._characters.decode(piece[len(kept) :])
            self._text.append(text)
            self._text_length += len(text)
            if self._text_length > _COUNTED_CHARACTERS:
                self._count()
        self._string_bytes += len(piece)

    def _end_string(self) -> None:
        self._keep(b'"')
        self._last_string = self._string_head
        self._in_string = self._after_colon = False

    def _keep(self, data: bytes) -> None:
        if len(self._copy) < MAX_COPY_BYTES:
            self._copy += data

    def _count(self) -> None:
        text = "".join(self._text)
        whole = _WHOLE_ESCAPES(text)
        cut = 0 if whole is None else whole.end()
        if len(text) - cut > _LONGEST_ESCAPE:
            cut = len(text)
        self._text = [text[cut:]]  # the beginning of an escape whose rest has not arrived
        self._text_length = 0
        self._count_text(string_text(text[:cut]))


def string_text(escaped: str) -> str:
    """The text of a JSON string's inside; as it stands where it is no such thing."""
    try:
        text: str = json.loads(f'"{escaped}"', strict=False)  # unlike msgspec it reads half a surrogate pair
    except ValueError:
        return escaped
    return text.encode("utf-8", "replace").decode()
