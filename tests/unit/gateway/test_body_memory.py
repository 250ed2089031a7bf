"""The bound of what a body takes of memory, held against what Python and msgspec really take."""

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from gateway.domain.body_memory import BodyMemory, most_memory_of

MIB = 2**20
FIXED = 64 * 1024
"""What decoding takes whatever the body: names that it remembers, room for a few lists to grow."""


def _said(text: str, *, escaped: bool = False) -> bytes:
    messages = [{"role": "user", "content": text}]
    return json.dumps({"model": "gpt-4o", "messages": messages}, ensure_ascii=escaped).encode()


def _of_many(value: str, number: int) -> bytes:
    return b'{"model":"gpt-4o","values":[' + ",".join([value] * number).encode() + b"]}"


BODIES = {
    "a picture": _said("data:image/png;base64," + "A" * 4 * MIB),
    "Portuguese": _said("Não há ações. " * 300_000),
    "one dash in a long text": _said("a" * 4 * MIB + "—"),
    "one emoji in a long text": _said("a" * 4 * MIB + "😀"),
    "one escaped emoji": _said("a" * 4 * MIB + "😀", escaped=True),
    "Chinese": _said("中文" * 500_000),
    "code": _said('print({"a": [1, 2], "b": "c"})\n' * 60_000),
    "empty lists": _of_many("[]", 79_000),
    "empty objects": _of_many("{}", 79_000),
    "objects": _of_many('{"a":1}', 79_000),
    "letters": _of_many('"é"', 390_000),
    "numbers": _of_many("12.5", 990_000),
    "names": b'{"values":{' + b",".join(b'"a%d":1' % number for number in range(390_000)) + b"}}",
}


def _held(body: bytes) -> int:
    """The body, what it is decoded to with the UTF-8 that its texts keep, and what is sent of it."""
    tracemalloc.start()
    try:
        fields: Any = msgspec.json.decode(body)
        sent = len(msgspec.json.encode(fields))
        decoded, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert fields
    return len(body) + decoded + sent


def _pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 100_003):
        yield body[start : start + 100_003]


@pytest.mark.parametrize("name", BODIES)
def test_a_body_never_takes_more_than_was_leased_for_it(name: str) -> None:
    body = BODIES[name]
    memory = BodyMemory()
    for piece in _pieces(body):
        memory.add(piece)
    assert memory.arrived_bytes == len(body)
    assert _held(body) <= memory.decoded_bytes + FIXED
    assert memory.decoded_bytes <= most_memory_of(len(body))


def test_a_picture_is_leased_little_more_than_it_takes() -> None:
    memory = BodyMemory()
    memory.add(BODIES["a picture"])
    assert memory.decoded_bytes <= _held(BODIES["a picture"]) + FIXED
