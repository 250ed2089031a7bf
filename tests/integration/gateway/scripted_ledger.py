"""Answers reservations as a test tells it, and collects the usage that the gateway publishes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import nats
from chassis.provisioning import provision
from contracts import subjects
from contracts.codec import encode
from contracts.envelope import CloudEvent, event_decoder
from contracts.errors import RefusalCode
from contracts.events.usage import UsageRecorded
from contracts.reservations import Granted, RefusalFigures, Refused, ReserveAnswer, ReserveRequest
from contracts.topology import STREAMS
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.support.eventually import eventually
from tests.support.infrastructure import core_nats

_decode_reserve = msgspec.json.Decoder(ReserveRequest).decode

type Decision = Callable[[ReserveRequest], ReserveAnswer | None]

FIGURES = RefusalFigures(
    available=1_234,
    needed=5_678,
    monthly_limit=1_000_000,
    monthly_used=998_766,
    credits=0,
    resets_at=datetime(2026, 12, 1, 3, 0, tzinfo=UTC),
)


def grant(
    reserve: ReserveRequest, *, output_tokens: int = 4096, write_maximum: bool = False, available: int = 900_000
) -> ReserveAnswer:
    return ReserveAnswer(
        granted=Granted(
            reservation_id=reserve.reservation_id,
            held_tokens=reserve.prompt_tokens + output_tokens,
            output_tokens=output_tokens,
            write_maximum=write_maximum,
            available=available,
        )
    )


def refuse(code: RefusalCode, **facts: Any) -> Decision:
    return lambda reserve: ReserveAnswer(refused=Refused(reservation_id=reserve.reservation_id, code=code, **facts))


class ScriptedLedger:
    """`decide` answers each reserve; None is no answer at all."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.decide: Decision = grant
        self.reserves: list[ReserveRequest] = []
        self.usage: list[CloudEvent[UsageRecorded]] = []
        self.ready = True
        self.ahead = timedelta(0)
        """Of every other clock."""
        self.clock_doubt_seconds = 0.0

    def reset(self) -> None:
        self.decide = grant
        self.ahead = timedelta(0)
        self.clock_doubt_seconds = 0.0
        self.reserves.clear()
        self.usage.clear()

    async def listen(self) -> None:
        await self.client.subscribe(f"{subjects.RESERVE_PREFIX}.*", queue=subjects.LEDGER_QUEUE, cb=self._reserve)
        await self.client.subscribe(f"{subjects.RESERVE_AGAIN_PREFIX}.*", cb=self._reserve)
        await self.client.subscribe(subjects.READ_READY, queue=subjects.LEDGER_QUEUE, cb=self._ready)
        await self.client.subscribe("solaris.usage.recorded.*", cb=self._usage)
        await self.client.flush()

    async def _reserve(self, message: Msg) -> None:
        reserve = _decode_reserve(message.data)
        self.reserves.append(reserve)
        answer = self.decide(reserve)
        if answer is not None:
            await message.respond(encode(answer))

    async def _ready(self, message: Msg) -> None:
        time = (datetime.now(UTC) + self.ahead).isoformat()
        answer = {
            "ready": self.ready,
            "error": None if self.ready else "postgres",
            "time": time,
            "clock_doubt_seconds": self.clock_doubt_seconds,
        }
        await message.respond(json.dumps(answer).encode())

    async def _usage(self, message: Msg) -> None:
        self.usage.append(event_decoder(UsageRecorded).decode(message.data))

    async def record_of(self, request_id: str) -> UsageRecorded:
        """The record of one call, once it is published; fails when there is a second, different one."""
        await eventually(lambda: self._records(request_id), message=f"record of {request_id}")
        records = self._records(request_id)
        assert all(record == records[0] for record in records)
        return records[0]

    def _records(self, request_id: str) -> list[UsageRecorded]:
        return [event.data for event in self.usage if event.data.reservation_id == request_id]

    async def only_record(self) -> UsageRecorded:
        """The one record of the calls that reserved since the last reset."""

        def records() -> list[CloudEvent[UsageRecorded]]:
            asked = {reserve.reservation_id for reserve in self.reserves}
            return [event for event in self.usage if event.data.reservation_id in asked]

        await eventually(records, message="a record")
        assert len({event.id for event in records()}) == 1
        return records()[0].data


@asynccontextmanager
async def running_ledger(nats_url: str) -> AsyncIterator[ScriptedLedger]:
    client = await nats.connect(nats_url, connect_timeout=5, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    try:
        async with core_nats(nats_url) as core:
            await provision(core, STREAMS, ())
        ledger = ScriptedLedger(client)
        await ledger.listen()
        yield ledger
    finally:
        await asyncio.wait_for(client.close(), 5)
