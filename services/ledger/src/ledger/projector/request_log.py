"""Reads what gateways tell of requests and stores it in batches: acknowledged once it is committed, counted once."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

import asyncpg
import structlog
from chassis.core_nats.client import CoreNats
from chassis.core_nats.wire import Message
from chassis.jetstream import SLICE
from chassis.postgres import DATABASE_ERRORS, refuses_the_data
from chassis.pull import PullEndedError, Puller
from contracts import subjects
from contracts.codec import DECODE_ERRORS, fault_of
from contracts.requests import NUL, RequestEnded
from msgspec import Struct, json
from nats.errors import Error as NatsError

from ledger.projector.metrics import REQUEST_LINES
from ledger.projector.request_days import RequestDays
from ledger.store.requests.lines import Stored, store_lines

log = structlog.get_logger()

FETCH_SIZE: Final = 4
"""Messages in memory at once, of some hundreds of lines each where calls are many."""
MAX_LINES: Final = 10_000
"""Of a message; what comes behind them is one line, which nobody can read."""
RETRY_SECONDS: Final = 0.5
PUT_BACK_SECONDS: Final = 2.0
CONNECTED_SECONDS: Final = 30.0
LOG_SECONDS: Final = 30.0
"""After so long the log says again that no requests are read."""
_decode: Final = json.Decoder(RequestEnded).decode


class RequestLog:
    """Several may run: what one has fetched comes to another when it is not acknowledged, and is stored once.

    A line that can't be read is dropped and counted: it is personal, and a dead letter would keep it for months.
    """

    def __init__(self, client: CoreNats, pool: asyncpg.Pool, days: RequestDays) -> None:
        self._client = client
        self._pool = pool
        self._days = days
        self._problem: str | None = "requests are not read yet"
        self._logged_at = float("-inf")

    async def check(self) -> str | None:
        """None while lines are read; a note of readiness, for nothing that is read stands still without them."""
        return self._problem

    async def run(self) -> None:
        """Read until cancelled; whatever breaks (server gone, stream deleted) is waited out and bound anew."""
        while True:
            await self._client.wait_connected(CONNECTED_SECONDS)
            try:
                await self._days.make()
                await self._read()
            except (NatsError, PullEndedError, *DATABASE_ERRORS) as error:
                self._tell(f"requests are not read: {type(error).__name__}: {error}")
            await asyncio.sleep(RETRY_SECONDS)

    async def _read(self) -> None:
        stream, durable = subjects.REQUESTS_STREAM, subjects.PROJECTOR_REQUESTS_CONSUMER
        async with Puller(self._client, stream, durable, batch=FETCH_SIZE) as puller:
            while True:
                messages = await puller.next()
                self._problem = None
                if messages:
                    await self._take(puller, messages)

    async def _take(self, puller: Puller, messages: Sequence[Message]) -> None:
        """A message at a time, each committed before it is acknowledged; what can't be stored now comes again."""
        for number, message in enumerate(messages):
            lines = await read_lines(message.payload)
            try:
                if lines:
                    await self._store(lines)
            except DATABASE_ERRORS:
                for left in messages[number:]:
                    puller.put_back(left, PUT_BACK_SECONDS)
                raise
            puller.acknowledge(message)

    async def _store(self, lines: Sequence[RequestEnded]) -> None:
        """Store them; what Postgres refuses as data is looked for by halves, and dropped alone."""
        try:
            async with self._pool.acquire() as connection:
                stored = await store_lines(connection, lines)
        except asyncpg.PostgresError as error:
            if not refuses_the_data(error):
                raise
            if len(lines) == 1:
                REQUEST_LINES.labels("not_storable").inc()
                log.error("request_line_not_storable", request_id=lines[0].request_id, error=type(error).__name__)  # noqa: TRY400  what it quotes is personal
                return
            half = len(lines) // 2
            await self._store(lines[:half])
            await self._store(lines[half:])
        else:
            _count(stored)

    def _tell(self, problem: str) -> None:
        self._problem = problem
        now = asyncio.get_running_loop().time()
        if now - self._logged_at >= LOG_SECONDS:
            self._logged_at = now
            log.warning("requests_not_read", reason=problem)


async def read_lines(payload: bytes) -> list[RequestEnded]:
    """The lines of a message; those that are none are counted and left out."""
    told = payload.split(b"\n", MAX_LINES)
    lines: list[RequestEnded] = []
    fault = ""
    for number, line in enumerate(told, start=1):
        if number % SLICE == 0:
            await asyncio.sleep(0)
        try:
            lines.append(_read(line))
        except DECODE_ERRORS as error:
            fault = fault_of(error)
    if (unreadable := len(told) - len(lines)) > 0:
        REQUEST_LINES.labels("unreadable").inc(unreadable)
        log.error("request_lines_unreadable", lines=unreadable, last_fault=fault)  # they themselves are not for the log
    return lines


def _read(told: bytes) -> RequestEnded:
    """Raises what `DECODE_ERRORS` are."""
    line = _decode(told)
    if NUL in told and any("\x00" in text for text in (*_texts(line), *(_texts(line.bodies) if line.bodies else ()))):
        raise ValueError("it holds NUL")
    return line


def _texts(struct: Struct) -> Iterator[str]:
    return (value for name in struct.__struct_fields__ if isinstance(value := getattr(struct, name), str))


def _count(stored: Stored) -> None:
    for outcome, number in (
        ("stored", stored.new),
        ("repeated", stored.repeated),
        ("forgotten", stored.forgotten),
        ("undated", stored.undated),
    ):
        if number:
            REQUEST_LINES.labels(outcome).inc(number)
