"""What a body takes of memory until it is sent on: as it came, decoded, and encoded anew.

An upper bound, measured with `tests/unit/gateway/test_body_memory.py`: one character beyond ASCII widens the whole text
around it, and of `[[],[],[],…` the decoded lists take twenty times what their brackets took.
"""

import re
from typing import Final

PLAIN: Final = 3
WIDE: Final = 5
"""With characters of two bytes in memory; a text that is not ASCII keeps its UTF-8 beside it, too."""
WIDEST: Final = 7
STRUCTURE_BYTES: Final = 64
MOST_STRUCTURE_BYTES: Final = 72 * 1024 * 1024
"""Of as many values as `body_structure` lets pass."""
RESERVED_SHARE: Final = 8
"""One part in so many is for small bodies alone: whatever large ones do, ordinary chats have room."""

_ALL_BUT_STRUCTURE: Final = bytes(set(range(256)) - set(b'[{,"'))
_ESCAPED: Final = re.compile(rb"\\u").search
_FOUR_BYTE_LEADS: Final = (b"\xf0", b"\xf1", b"\xf2", b"\xf3", b"\xf4")


class BodyMemory:
    """Counted piece by piece, so that nothing has to be looked through when it is whole."""

    def __init__(self) -> None:
        self.arrived_bytes = 0
        self._width = PLAIN
        self._structure = 0
        self._last = b""

    def add(self, piece: bytes) -> None:
        self.arrived_bytes += len(piece)
        self._structure += len(piece.translate(None, _ALL_BUT_STRUCTURE))
        if self._width < WIDEST:
            across = _width_of(self._last + piece[:1]) if self._last else PLAIN
            self._width = max(self._width, _width_of(piece), across)
            self._last = piece[-1:]

    @property
    def decoded_bytes(self) -> int:
        """The whole body's, from when it is put together until it is sent on."""
        return self._width * self.arrived_bytes + min(STRUCTURE_BYTES * self._structure, MOST_STRUCTURE_BYTES)


def most_memory_of(body_bytes: int) -> int:
    """What a body of that size takes at worst."""
    return WIDEST * body_bytes + min(STRUCTURE_BYTES * body_bytes, MOST_STRUCTURE_BYTES)


def limit_with_room_for(size: int) -> int:
    """The least limit under which one large body may take so much."""
    return -(-size * RESERVED_SHARE // (RESERVED_SHARE - 1))


def _width_of(piece: bytes) -> int:
    if _ESCAPED(piece) is not None:
        return WIDEST  # it may be half of any character
    if piece.isascii():
        return PLAIN
    return WIDEST if any(lead in piece for lead in _FOUR_BYTE_LEADS) else WIDE
