"""Keeps FastStream's pull loop from spinning: a fetch that fails at once is followed by a pause."""

import asyncio
from typing import Any, Final

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext

PAUSE_SECONDS: Final = 0.5


class PatientFetches:
    """Stands before a pull subscription and takes its place in the subscriber.

    FastStream asks again at once after every failed fetch. Against a missing consumer that is a flood of requests;
    on a closed connection the fetch fails without ever waiting, and the loop then freezes the whole process.
    """

    def __init__(self, subscription: JetStreamContext.PullSubscription) -> None:
        self._subscription = subscription

    async def fetch(self, batch: int = 1, timeout: float | None = None, **options: Any) -> list[Msg]:  # noqa: ASYNC109
        """The messages, or after a pause nats-py's TimeoutError, which FastStream takes as "none yet"."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            return await self._subscription.fetch(batch, timeout, **options)
        except (nats.errors.Error, TimeoutError) as error:
            # What is left of the pause: a fetch that waited its time out needs none.
            await asyncio.sleep(max(0.0, PAUSE_SECONDS - (loop.time() - started)))
            raise nats.errors.TimeoutError from error

    async def unsubscribe(self) -> None:
        """As the subscription does."""
        await self._subscription.unsubscribe()
