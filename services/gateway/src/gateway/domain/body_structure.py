"""How much a body would be to decode, counted before it is: decoding can't be interrupted, and all others wait for it.

Measured: 80,000 objects, 400,000 texts or a million numbers take about 50 ms each.
"""

import re
from collections.abc import Iterator
from typing import Final

from gateway.domain.errors import InvalidRequestError

HARMLESS_BYTES: Final = 128 * 1024
"""No body of this size takes long, whatever it holds."""
MAX_CONTAINERS: Final = 80_000
MAX_TEXTS: Final = 400_000
MAX_VALUES: Final = 1_000_000
SLICE_BYTES: Final = 2 * 1024 * 1024
SLICE_TOKENS: Final = 4_000

_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{,]', re.DOTALL)


def check_structure(body: bytes) -> Iterator[None]:
    """Look through a body in slices of a few milliseconds; the caller lets others have their turn between them.

    Raises:
        InvalidRequestError: it holds more values than any conversation does.
    """
    if len(body) <= HARMLESS_BYTES:
        return
    containers = texts = values = 0
    for start in range(0, len(body), SLICE_BYTES):
        piece = body[start : start + SLICE_BYTES]
        containers += piece.count(b"[") + piece.count(b"{")
        texts += piece.count(b'"')
        values += piece.count(b",")
        yield
    if containers > MAX_CONTAINERS or texts > 2 * MAX_TEXTS or values > MAX_VALUES:
        # Many of them may stand inside of texts, as in code.
        yield from _check_tokens(body)


def _check_tokens(body: bytes) -> Iterator[None]:
    containers = texts = values = 0
    for number, token in enumerate(_TOKEN.finditer(body)):
        if number % SLICE_TOKENS == 0:
            yield
        first = body[token.start()]
        if first == 0x22:  # a quotation mark
            texts += 1
        elif first == 0x2C:  # a comma
            values += 1
        else:
            containers += 1
        if containers > MAX_CONTAINERS or texts > MAX_TEXTS or values > MAX_VALUES:
            raise InvalidRequestError("the body holds too many values")
