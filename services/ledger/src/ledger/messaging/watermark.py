"""Up to which time all usage is decided, told from the usage stream and its consumer."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog
from chassis.core_nats.client import CoreNats
from chassis.jetstream import consumer_info, stream_info
from contracts import subjects
from nats.errors import Error as NatsError

from ledger.metrics import STREAM_PENDING, USAGE_PASSED

log = structlog.get_logger()

LOOK_SECONDS: Final = 2.0


class UsageWatermark:
    """Observes the stream's end, and once the consumer has acknowledged up to there, that time has passed.

    `time` is of the clock by which holds end, the database's: our own may be ahead of it. It may itself be put back;
    what was observed at a time that is yet to come tells nothing then.
    """

    def __init__(self, client: CoreNats, time: Callable[[], datetime | None]) -> None:
        self._client = client
        self._time = time
        self._observed: tuple[datetime, int] | None = None
        self._passed: datetime | None = None

    async def passed(self) -> datetime | None:
        """The latest time known to have passed; None while the stream can't be read or the time is unknown."""
        if (now := self._time()) is None:
            return None
        if self._passed is not None and self._passed > now:
            self._passed = None
        if self._observed is not None and self._observed[0] > now:
            self._observed = None
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                if self._observed is None:
                    stream = await stream_info(self._client, subjects.USAGE_STREAM)
                    self._observed = (now, stream["state"]["last_seq"])
                consumer = await consumer_info(self._client, subjects.USAGE_STREAM, subjects.LEDGER_USAGE_CONSUMER)
        except (NatsError, TimeoutError) as error:
            log.debug("watermark_unknown", error=repr(error))
            self._observed = None
            return None
        waiting = consumer["num_pending"] + consumer["num_ack_pending"]
        STREAM_PENDING.set(waiting)
        observed_at, last_sequence = self._observed
        if consumer["ack_floor"]["stream_seq"] >= last_sequence or not waiting:
            self._passed = observed_at
            self._observed = None
            USAGE_PASSED.set(observed_at.timestamp())
        return self._passed
