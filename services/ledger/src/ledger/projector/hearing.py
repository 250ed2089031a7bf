"""What the projector hears on streams: that of which the log says nothing, kept beside the projections."""

from collections.abc import Mapping, Sequence
from typing import Final

import asyncpg
from chassis.consumer import Consumer
from chassis.core_nats.client import CoreNats
from chassis.delivery import Handler
from chassis.health import Check
from chassis.postgres import create_engine, disposed
from chassis.service import Part, Work
from contracts.subjects import BILLING_STREAM, PROJECTOR_BILLING_CONSUMER

from ledger.messaging import revenue
from ledger.projector.request_days import RequestDays
from ledger.projector.request_log import RequestLog
from ledger.projector.settings import ProjectorSettings
from ledger.store.dead_letters import LETTERS

_HEARD: Final[Mapping[str, tuple[str, str, Handler]]] = {
    "revenue": (BILLING_STREAM, PROJECTOR_BILLING_CONSUMER, revenue.hear),
}
"""By name: the stream, the durable consumer, and what has a message's effect."""
_REQUESTS: Final = "requests"


class Hearing:
    """The parts of a projector that hear, last among its parts: without NATS projections go on."""

    def __init__(self, settings: ProjectorSettings, pool: asyncpg.Pool, days: RequestDays) -> None:
        self.parts: Sequence[Part] = ()
        self.notes: Mapping[str, Check] = {}
        if not settings.nats_url:
            self.notes = dict.fromkeys((*_HEARD, _REQUESTS), _told_of_nothing)
            return
        engine = create_engine(settings.database_url, service="projector")
        client = CoreNats(settings.nats_url, service="projector")
        consumers = {
            name: Consumer(client, settings.nats_url, engine, LETTERS, handle, stream=stream, durable=durable)
            for name, (stream, durable, handle) in _HEARD.items()
        }
        # Of which there is one for each call: those come in batches, which a message at a time could not keep up with.
        requests = RequestLog(client, pool, days)
        self.parts = (disposed(engine), client, Work(requests.run, *(consumer.run for consumer in consumers.values())))
        self.notes = {_REQUESTS: requests.check, **{name: consumer.check for name, consumer in consumers.items()}}


async def _told_of_nothing() -> str:
    return "SOLARIS_NATS_URL is not set"
