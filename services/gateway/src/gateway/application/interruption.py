"""Stops a call from outside of it: the client left, its time is over, the gateway shuts down."""

import asyncio
from enum import StrEnum


class Cause(StrEnum):
    CLIENT_LEFT = "client_left"
    TIMED_OUT = "timed_out"
    SHUTTING_DOWN = "shutting_down"


class Interruption:
    """Cancels the call's task once, and remembers why; after `finish` nothing can stop it any more."""

    def __init__(self, task: asyncio.Task[object]) -> None:
        self._task = task
        self._finished = False
        self._timer: asyncio.TimerHandle | None = None
        self.cause: Cause | None = None

    def bound(self, seconds: float) -> None:
        """Stop the call when this time is over, instead of at any time set before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.stop, Cause.TIMED_OUT)

    def stop(self, cause: Cause) -> None:
        """Cancel what the call is waiting for."""
        if self.cause is None and not self._finished:
            self.cause = cause
            self._task.cancel()

    def finish(self) -> None:
        self._finished = True
        if self._timer is not None:
            self._timer.cancel()

    def accept(self) -> Cause:
        """Take the cancellation as handled: the call goes on to its end.

        Raises:
            asyncio.CancelledError: the task was cancelled by somebody else.
        """
        if self.cause is None:
            raise asyncio.CancelledError
        self._task.uncancel()
        self._finished = True
        return self.cause
