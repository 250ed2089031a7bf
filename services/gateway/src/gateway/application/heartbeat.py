"""Keeps a silent stream alive with comments, before its first byte too."""

import asyncio
from collections.abc import Callable
from typing import Final

from gateway.application.answer import Answer
from gateway.domain.headers import Headers

PING: Final = b": ping\n\n"


class Heartbeat:
    """Writes a comment after each `seconds` of silence, between events only; starts the answer where it must."""

    def __init__(self, answer: Answer, seconds: float, headers: Headers, at_boundary: Callable[[], bool]) -> None:
        self._answer = answer
        self._seconds = seconds
        self._headers = headers
        self._at_boundary = at_boundary
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._timer = self._loop.call_later(seconds, self._look)
        self._ping: asyncio.Task[None] | None = None

    def heard(self) -> None:
        """The upstream has said something."""
        self._heard_at = self._loop.time()

    def stop(self) -> None:
        self._timer.cancel()
        if self._ping is not None:
            self._ping.cancel()

    def _look(self) -> None:
        left = self._heard_at + self._seconds - self._loop.time()
        if left <= 0:
            left = self._seconds
            self._heard_at = self._loop.time()
            if self._at_boundary() and not self._answer.writing:
                self._ping = self._loop.create_task(self._write())
        self._timer = self._loop.call_later(left, self._look)

    async def _write(self) -> None:
        if not self._answer.started:
            await self._answer.start(200, self._headers)
        await self._answer.write(PING)
