"""One JSON object on standard output that is written as it is read, however long it is."""

import sys
from collections.abc import AsyncIterator, Collection
from typing import Final

from msgspec import json

from chassis.operate.output import standard_output

_encoder: Final = json.Encoder()


async def write_document(members: AsyncIterator[tuple[str, object]], single: Collection[str]) -> None:
    """Pairs of a name and a value: those of one name come together and become a list, but for the `single` ones.

    It begins with the first pair, so what is refused before that has said nothing; what fails later leaves text that
    is no JSON, and can't be taken for the whole. Raises as `chassis.operate.output.write_line`.
    """
    written: set[str] = set()
    current = ""
    async for name, value in members:
        if name == current and name not in single:
            _write(b",")
        else:
            assert name not in written, f"{name} comes in two places"
            _write(_end(current, single) + _encoder.encode(name) + (b":" if name in single else b":["))
            written.add(name)
            current = name
        _write(_encoder.encode(value))
    _write((b"]" if current and current not in single else b"") + (b"}\n" if written else b"{}\n"))


def _end(current: str, single: Collection[str]) -> bytes:
    if not current:
        return b"{"
    return b"," if current in single else b"],"


def _write(text: bytes) -> None:
    with standard_output():
        sys.stdout.buffer.write(text)
