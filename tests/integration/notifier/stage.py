"""The notifier's surroundings in tests: the ledger's part played over real NATS, its events, its answers."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import nats
from chassis.ids import new_uuid7
from chassis.jetstream import provision
from contracts import topology
from contracts.accounts import subject_token
from contracts.envelope import CloudEvent, cloud_event_type, event_adapter
from contracts.events import LEDGER_EVENT_NAMES, AllowanceExhausted, ThresholdCrossed, TokensExhausted
from contracts.reads import ProfileAnswer
from contracts.reservations import Profile
from contracts.subjects import LEDGER_STREAM, READ_PROFILE_PREFIX, event_subject
from local_run.ports import any_free
from nats.aio.client import Client
from nats.aio.msg import Msg
from notifier.domain.retries import RetryPolicy
from notifier.main import run_notifier
from notifier.settings import NotifierSettings
from pydantic import TypeAdapter

FAST = RetryPolicy(
    first_delay_seconds=0.2, longest_delay_seconds=0.4, max_attempts=4, address_check_seconds=(0.1, 0.2, 0.3)
)


def threshold(percent: int, *, limit: int = 1_000_000, cycle: str = "2025-11") -> ThresholdCrossed:
    return ThresholdCrossed(
        percent=percent,
        monthly_used=limit * percent // 100,
        monthly_limit=limit,
        credits=0,
        cycle_id=cycle,
        resets_at=datetime.now(UTC) + timedelta(days=10),
    )


def allowance_exhausted(*, announced: bool, limit: int = 1_000_000) -> AllowanceExhausted:
    return AllowanceExhausted(
        monthly_used=limit,
        monthly_limit=limit,
        credits=0,
        announced_by_threshold=announced,
        cycle_id="2025-11",
        resets_at=datetime.now(UTC) + timedelta(days=10),
    )


def tokens_exhausted(*, limit: int = 1_000_000) -> TokensExhausted:
    return TokensExhausted(
        monthly_used=limit,
        monthly_limit=limit,
        credits=0,
        debt=0,
        cycle_id="2025-11",
        resets_at=datetime.now(UTC) + timedelta(days=10),
    )


@dataclass(frozen=True)
class Sent:
    """An event as published, to be published again."""

    id: str
    subject: str
    payload: bytes


def event(account_id: str, data: Any, *, age: timedelta = timedelta(0)) -> Sent:
    name = LEDGER_EVENT_NAMES[type(data)]
    envelope: CloudEvent[Any] = CloudEvent(
        id=new_uuid7(),
        type=cloud_event_type(name),
        source="ledger",
        subject=account_id,
        time=datetime.now(UTC) - age,
        data=data,
    )
    adapter = event_adapter(type(data))  # type: ignore[arg-type]  # mypy doubts that a class is hashable
    payload = adapter.dump_json(envelope)
    return Sent(envelope.id, event_subject(name, subject_token(account_id)), payload)


@dataclass
class Ledger:
    """Publishes events and answers for profiles; everyone has one unless `profiles` says otherwise."""

    client: Client
    profiles: dict[str, ProfileAnswer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def provision(self) -> None:
        await provision(self.client.jetstream(timeout=10), topology.STREAMS, topology.CONSUMERS)

    async def publish(self, *events: Sent, times: int = 1) -> None:
        jetstream = self.client.jetstream(timeout=10)
        for _ in range(times):
            for each in events:
                # Without Nats-Msg-Id, so that the stream's own dedupe window does not do the notifier's work.
                await jetstream.publish(each.subject, each.payload)

    async def publish_raw(self, subject: str, payload: bytes) -> None:
        await self.client.jetstream(timeout=10).publish(subject, payload)

    async def delete_stream(self) -> None:
        await self.client.jetstream(timeout=10).delete_stream(LEDGER_STREAM)

    async def unacknowledged(self) -> int:
        """Messages that the notifier has yet to take or to acknowledge."""
        info = await self.client.jetstream(timeout=10).consumer_info(LEDGER_STREAM, "notifier-ledger")
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    async def handled(self) -> bool:
        return await self.unacknowledged() == 0

    async def overhear(self, subject: str) -> list[Msg]:
        """A list that grows with what others send on the subject from now on."""
        heard: list[Msg] = []

        async def note(message: Msg) -> None:
            heard.append(message)

        await self.client.subscribe(subject, cb=note)
        await self.client.flush()
        return heard

    async def answer(self, request: Msg) -> None:
        token = request.subject.removeprefix(f"{READ_PROFILE_PREFIX}.")
        self.asked.append(token)
        answer = self.profiles.get(
            token, ProfileAnswer(profile=Profile(email=f"{token}@example.com", name="Ana Souza", locale="pt-BR"))
        )
        await request.respond(TypeAdapter(ProfileAnswer).dump_json(answer))


@contextlib.asynccontextmanager
async def playing_ledger(nats_url: str) -> AsyncIterator[Ledger]:
    client = await nats.connect(
        nats_url, inbox_prefix="_INBOX_operator", max_reconnect_attempts=-1, reconnect_time_wait=0.1
    )
    ledger = Ledger(client)
    await client.subscribe(f"{READ_PROFILE_PREFIX}.*", cb=ledger.answer)
    await client.flush()
    try:
        yield ledger
    finally:
        await client.close()


def environment_of(settings: NotifierSettings) -> dict[str, str]:
    """The same settings, for a process."""
    return {
        "SOLARIS_DATABASE_URL": settings.database_url,
        "SOLARIS_NATS_URL": settings.nats_url,
        "SOLARIS_SMTP_URL": settings.smtp_url,
        "SOLARIS_MAIL_FROM": settings.mail_from,
        "SOLARIS_PUBLIC_URL": settings.public_url,
        "SOLARIS_NOTIFIER_PORT": str(settings.notifier_port),
    }


def settings_for(database_url: str, nats_url: str, smtp_url: str) -> NotifierSettings:
    return NotifierSettings(
        database_url=database_url,
        nats_url=nats_url,
        smtp_url=smtp_url,
        mail_from="avisos@solaris.example",
        public_url="https://solaris.example",
        notifier_port=any_free(),
        shutdown_seconds=3.0,
    )


@contextlib.asynccontextmanager
async def running(settings: NotifierSettings, policy: RetryPolicy = FAST) -> AsyncIterator[asyncio.Task[None]]:
    """A notifier in this process, for the length of the block; it must end without an error."""
    stop = asyncio.Event()
    task = asyncio.create_task(run_notifier(settings, stop, policy=policy))
    try:
        yield task
    finally:
        stop.set()
        async with asyncio.timeout(15):
            await task


@contextlib.asynccontextmanager
async def running_process(variables: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A notifier as a real process."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "notifier", env={**os.environ, **variables}, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


class Database:
    """Looks into the notifier's tables."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self._url, timeout=10)
        try:
            return list(await connection.fetch(query, *arguments))
        finally:
            await connection.close()

    async def statuses(self, account_id: str) -> list[str]:
        rows = await self.rows("SELECT status FROM notifier.messages WHERE account_id = $1 ORDER BY id", account_id)
        return [row["status"] for row in rows]

    async def last_dead_letter(self) -> asyncpg.Record | None:
        rows = await self.rows("SELECT * FROM notifier.dead_letters ORDER BY id DESC LIMIT 1")
        return rows[0] if rows else None
