"""Bounds what a request may send, before anything reads it: its bytes, and the time that they take."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from billing.http.problems import problem

MAX_BYTES: Final = 64 * 1024
"""Of a purchase, which has some hundred bytes; the webhook reads its own."""
BODY_SECONDS: Final = 10.0


class BoundedBodies:
    """Hands on to the app what is within bounds, whole; answers 413 and 408 for what is not."""

    def __init__(self, app: ASGIApp, *, but_not: str) -> None:
        self._app = app
        self._but_not = but_not

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD") or scope["path"] == self._but_not:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(receive)
        except TimeoutError:
            await problem(408, "slow_body", "The body took too long.", {"connection": "close"})(scope, receive, send)
            return
        if body is None:
            headers = {"connection": "close"}
            await problem(413, "body_too_large", f"At most {MAX_BYTES} bytes.", headers)(scope, receive, send)
            return
        await self._app(scope, _replaying(body, receive), send)


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None where it is too large. Of a client that left, what had come."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replaying(body: bytes, receive: Receive) -> Receive:
    """The body in one piece, then whatever else the client does."""
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return whole.pop() if whole else await receive()

    return replay
