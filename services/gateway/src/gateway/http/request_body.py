"""Receives the body of a request, within bounds of size, pace and memory."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.body_memory import BodyMemory
from gateway.domain.errors import BodyTooLargeError, InvalidRequestError
from gateway.http.byte_budget import Lease
from gateway.http.exchange import ClientLeftError, Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyBounds:
    """`patience_seconds` a client may pause at any time; what comes at less than `bytes_per_second` uses it up."""

    most_bytes: int
    seconds: float
    bytes_per_second: float
    patience_seconds: float


class Pace:
    """When a body must have ended or gone on. What came fast before buys no longer pause than the patience."""

    def __init__(self, bounds: BodyBounds, now: float) -> None:
        self._bounds = bounds
        self._end = now + bounds.seconds
        self._pause_end = now + bounds.patience_seconds

    def came(self, size: int, now: float, waited_seconds: float) -> None:
        """`waited_seconds` is how long we ourselves could not take it."""
        longer = self._pause_end + waited_seconds + size / self._bounds.bytes_per_second
        self._pause_end = min(longer, now + self._bounds.patience_seconds)

    @property
    def deadline(self) -> float:
        return min(self._end, self._pause_end)


def announced_bytes(headers: Mapping[bytes, bytes]) -> int | None:
    """How long the body is to be; None where only its end will tell."""
    announced = headers.get(b"content-length", b"")
    if announced.isdigit():
        return int(announced)
    return None if announced or b"transfer-encoding" in headers else 0


async def receive_body(exchange: Exchange, bounds: BodyBounds, lease: Lease) -> bytes:
    """The body; `lease` covers what has come of it, and at the end what it takes to be decoded.

    Raises:
        BodyTooLargeError, ClientLeftError, NoRoomError, InvalidRequestError: it is compressed, or too slow.
    """
    announced = announced_bytes(exchange.headers)
    if announced is not None and announced > bounds.most_bytes:
        raise BodyTooLargeError(bounds.most_bytes)
    if exchange.headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise InvalidRequestError("compressed bodies are not accepted")
    memory = BodyMemory()
    if exchange.request_came:
        body, _ = await _receive_piece(exchange, bounds, memory)
        await lease.grow_to(memory.decoded_bytes, whole=True)
        return body
    return await _receive_pieces(exchange, bounds, memory, lease)


async def _receive_pieces(exchange: Exchange, bounds: BodyBounds, memory: BodyMemory, lease: Lease) -> bytes:
    loop = asyncio.get_running_loop()
    pace = Pace(bounds, loop.time())
    parts: list[bytes] = []
    try:
        async with asyncio.timeout_at(pace.deadline) as timeout:
            while True:
                piece, more = await _receive_piece(exchange, bounds, memory)
                arrived = loop.time()
                timeout.reschedule(None)  # a wait for room has a bound of its own
                await lease.grow_to(memory.arrived_bytes if more else memory.decoded_bytes, whole=not more)
                parts.append(piece)
                if not more:
                    return piece if len(parts) == 1 else b"".join(parts)
                now = loop.time()
                pace.came(len(piece), now, now - arrived)
                timeout.reschedule(pace.deadline)
    except TimeoutError:
        raise InvalidRequestError(
            f"the body came too slowly: a pause of {bounds.patience_seconds:g} s, less than "
            f"{bounds.bytes_per_second:g} bytes a second, or more than {bounds.seconds:g} s in all"
        ) from None


async def _receive_piece(exchange: Exchange, bounds: BodyBounds, memory: BodyMemory) -> tuple[bytes, bool]:
    """What has come, and whether more is to come."""
    message = await exchange.receive()
    if message["type"] != "http.request":
        raise ClientLeftError
    piece: bytes = message["body"]
    memory.add(piece)
    if memory.arrived_bytes > bounds.most_bytes:
        raise BodyTooLargeError(bounds.most_bytes)
    return piece, message.get("more_body", False)
