"""Receives the body of a request, within bounds of size, pace and memory."""

import asyncio
from collections.abc import Mapping

from gateway.domain.body_memory import BodyMemory
from gateway.domain.errors import BodyTooLargeError, InvalidRequestError
from gateway.http.byte_budget import Lease
from gateway.http.exchange import ClientLeftError, Exchange
from gateway.settings import GatewaySettings


class Pace:
    """When a body must have ended or gone on.

    A client may pause for `body_patience_seconds` at any time, and what comes at less than `body_bytes_per_second` uses
    them up. What came fast before buys no longer pause than that.
    """

    def __init__(self, settings: GatewaySettings, now: float) -> None:
        self._settings = settings
        self._end = now + settings.body_seconds
        self._pause_end = now + settings.body_patience_seconds

    def came(self, size: int, now: float, waited_seconds: float) -> None:
        """`waited_seconds` is how long we ourselves could not take it."""
        longer = self._pause_end + waited_seconds + size / self._settings.body_bytes_per_second
        self._pause_end = min(longer, now + self._settings.body_patience_seconds)

    @property
    def deadline(self) -> float:
        return min(self._end, self._pause_end)


def announced_bytes(headers: Mapping[bytes, bytes]) -> int | None:
    """How long the body is to be; None where only its end will tell."""
    announced = headers.get(b"content-length", b"")
    if announced.isdigit():
        return int(announced)
    return None if announced or b"transfer-encoding" in headers else 0


async def receive_body(exchange: Exchange, settings: GatewaySettings, lease: Lease) -> bytes:
    """The body; `lease` covers what has come of it, and at the end what it takes to be decoded.

    Raises:
        BodyTooLargeError, ClientLeftError, NoRoomError, InvalidRequestError: it is compressed, or too slow.
    """
    announced = announced_bytes(exchange.headers)
    if announced is not None and announced > settings.max_body_bytes:
        raise BodyTooLargeError(settings.max_body_bytes)
    if exchange.headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise InvalidRequestError("compressed bodies are not accepted")
    memory = BodyMemory()
    if exchange.request_came:
        body, _ = await _receive_piece(exchange, settings, memory)
        await lease.grow_to(memory.decoded_bytes, whole=True)
        return body
    return await _receive_pieces(exchange, settings, memory, lease)


async def _receive_pieces(exchange: Exchange, settings: GatewaySettings, memory: BodyMemory, lease: Lease) -> bytes:
    loop = asyncio.get_running_loop()
    pace = Pace(settings, loop.time())
    parts: list[bytes] = []
    try:
        async with asyncio.timeout_at(pace.deadline) as timeout:
            while True:
                piece, more = await _receive_piece(exchange, settings, memory)
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
            f"the body came too slowly: a pause of {settings.body_patience_seconds:g} s, less than "
            f"{settings.body_bytes_per_second:g} bytes a second, or more than {settings.body_seconds:g} s in all"
        ) from None


async def _receive_piece(exchange: Exchange, settings: GatewaySettings, memory: BodyMemory) -> tuple[bytes, bool]:
    """What has come, and whether more is to come."""
    message = await exchange.receive()
    if message["type"] != "http.request":
        raise ClientLeftError
    piece: bytes = message["body"]
    memory.add(piece)
    if memory.arrived_bytes > settings.max_body_bytes:
        raise BodyTooLargeError(settings.max_body_bytes)
    return piece, message.get("more_body", False)
