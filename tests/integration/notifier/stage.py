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
from chassis.provisioning import provision
from chassis.service import run_until
from contracts import topology
from contracts.accounts import subject_token
from contracts.balance import Balance, Cycle
from contracts.codec import encode
from contracts.envelope import CloudEvent, cloud_event_type
from contracts.events.notices import AccessRestored, AllowanceExhausted, ThresholdCrossed, TokensExhausted
from contracts.events.registry import BILLING_EVENT_NAMES, LEDGER_EVENT_NAMES
from contracts.limits import MAX_INTEGER
from contracts.profiles import Profile
from contracts.reads import BalanceAnswer, BalanceRequest, ProfileAnswer
from contracts.subjects import BILLING_STREAM, LEDGER_STREAM, READ_BALANCE_PREFIX, READ_PROFILE_PREFIX, event_subject
from local_run.ports import any_free
from msgspec import json
from msgspec.structs import replace
from nats.aio.client import Client
from nats.aio.msg import Msg
from notifier.application.sending import LEASE
from notifier.domain.retries import RetryPolicy
from notifier.main import assemble
from notifier.settings import NotifierSettings

from tests.support.infrastructure import core_nats

FAST = RetryPolicy(
    first_delay_seconds=0.2,
    longest_delay_seconds=0.4,
    max_attempts=4,
    address_check_seconds=(0.1, 0.2, 0.3),
    state_check_seconds=(0.1, 0.2, 0.3),
    longest_outage_delay_seconds=0.3,
)
HASTY = RetryPolicy(first_delay_seconds=0.05, longest_outage_delay_seconds=0.2, state_check_seconds=(0.1, 0.2, 0.3))
CYCLE = "2025-11"


def threshold(percent: int, *, limit: int = 1_000_000, cycle: str = CYCLE) -> ThresholdCrossed:
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
        cycle_id=CYCLE,
        resets_at=datetime.now(UTC) + timedelta(days=10),
    )


def tokens_exhausted(*, limit: int = 1_000_000) -> TokensExhausted:
    return TokensExhausted(
        monthly_used=limit,
        monthly_limit=limit,
        credits=0,
        debt=0,
        cycle_id=CYCLE,
        resets_at=datetime.now(UTC) + timedelta(days=10),
    )


def access_restored(*, granted: int = 50_000, limit: int = 1_000_000) -> AccessRestored:
    return AccessRestored(
        monthly_used=limit,
        monthly_limit=limit,
        credits=granted,
        debt=0,
        cycle_id=CYCLE,
        resets_at=datetime.now(UTC) + timedelta(days=10),
    )


def standing(
    account_id: str,
    *,
    used: int = 1_000_000,
    limit: int = 1_000_000,
    granted: int = 0,
    exhausted: bool | None = False,
    cycle: str = CYCLE,
    status: str = "active",
) -> BalanceAnswer:
    """What the ledger says of an account."""
    now = datetime.now(UTC)
    left = max(0, limit - used)
    balance = Balance(
        account_id=account_id,
        plan="basic",
        status=status,
        cycle=Cycle(id=cycle, starts_at=now - timedelta(days=20), ends_at=now + timedelta(days=10)),
        monthly_limit=limit,
        monthly_used=used,
        monthly_remaining=left,
        credits=granted,
        held=0,
        debt=0,
        available=left + granted,
    )
    return BalanceAnswer(balance=balance, exhausted=exhausted)


@dataclass(frozen=True)
class Sent:
    """An event as published, to be published again."""

    id: str
    subject: str
    payload: bytes
    account_id: str
    data: Any


def event(account_id: str, data: Any, *, age: timedelta = timedelta(0)) -> Sent:
    name = (LEDGER_EVENT_NAMES | BILLING_EVENT_NAMES)[type(data)]
    envelope: CloudEvent[Any] = CloudEvent(
        id=new_uuid7(),
        type=cloud_event_type(name),
        source=name.partition(".")[0],
        subject=account_id,
        time=datetime.now(UTC) - age,
        data=data,
    )
    return Sent(envelope.id, event_subject(name, subject_token(account_id)), encode(envelope), account_id, data)


@dataclass
class Ledger:
    """Publishes events, its own and those of billing, and answers reads.

    Everyone has a profile unless `profiles` says otherwise; an account is what its last event of the ledger says until
    `standings` is told otherwise, and has credits where only billing spoke of it. Accounts in `speechless` get no
    answer about their state; of those `behind` nothing of billing is heard yet.
    """

    client: Client
    nats_url: str
    profiles: dict[str, ProfileAnswer] = field(default_factory=dict)
    standings: dict[str, BalanceAnswer] = field(default_factory=dict)
    speechless: set[str] = field(default_factory=set)
    behind: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    states_asked: list[str] = field(default_factory=list)

    async def provision(self) -> None:
        async with core_nats(self.nats_url) as client:
            await provision(client, topology.STREAMS, topology.CONSUMERS)

    async def publish(self, *events: Sent, times: int = 1) -> None:
        jetstream = self.client.jetstream(timeout=10)
        for each in events:
            if type(each.data) not in LEDGER_EVENT_NAMES:
                self.standings.setdefault(subject_token(each.account_id), standing(each.account_id, granted=500_000))
                continue
            self.standings[subject_token(each.account_id)] = standing(
                each.account_id,
                used=each.data.monthly_used,
                limit=each.data.monthly_limit,
                granted=each.data.credits,
                exhausted=isinstance(each.data, TokensExhausted),
                cycle=each.data.cycle_id,
            )
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
        jetstream = self.client.jetstream(timeout=10)
        of_ledger = await jetstream.consumer_info(LEDGER_STREAM, "notifier-ledger")
        of_billing = await jetstream.consumer_info(BILLING_STREAM, "notifier-billing")
        return sum((info.num_pending or 0) + (info.num_ack_pending or 0) for info in (of_ledger, of_billing))

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

    async def answer_state(self, request: Msg) -> None:
        token = request.subject.removeprefix(f"{READ_BALANCE_PREFIX}.")
        self.states_asked.append(token)
        if token not in self.speechless:
            answer = self.standings.get(token, BalanceAnswer())
            asked_about = json.decode(request.data or b"{}", type=BalanceRequest)
            if token not in self.behind and asked_about != BalanceRequest():
                answer = replace(answer, heard_revision=MAX_INTEGER)
            await request.respond(encode(answer))

    async def answer(self, request: Msg) -> None:
        token = request.subject.removeprefix(f"{READ_PROFILE_PREFIX}.")
        self.asked.append(token)
        answer = self.profiles.get(
            token, ProfileAnswer(profile=Profile(email=f"{token}@example.com", name="Ana Souza", locale="pt-BR"))
        )
        await request.respond(encode(answer))


@contextlib.asynccontextmanager
async def playing_ledger(nats_url: str) -> AsyncIterator[Ledger]:
    client = await nats.connect(
        nats_url, inbox_prefix="_INBOX_operator", max_reconnect_attempts=-1, reconnect_time_wait=0.1
    )
    ledger = Ledger(client, nats_url)
    await client.subscribe(f"{READ_PROFILE_PREFIX}.*", cb=ledger.answer)
    await client.subscribe(f"{READ_BALANCE_PREFIX}.*", cb=ledger.answer_state)
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
        "SOLARIS_ALERT_WINDOW_SECONDS": str(settings.alert_window_seconds),
    }


def settings_for(database_url: str, nats_url: str, smtp_url: str, *, window_seconds: float = 0.0) -> NotifierSettings:
    return NotifierSettings(
        alert_window_seconds=window_seconds,
        database_url=database_url,
        nats_url=nats_url,
        smtp_url=smtp_url,
        mail_from="avisos@solaris.example",
        public_url="https://solaris.example",
        notifier_port=any_free(),
        shutdown_seconds=3.0,
    )


@contextlib.asynccontextmanager
async def running(
    settings: NotifierSettings, policy: RetryPolicy = FAST, *, lease: timedelta = LEASE
) -> AsyncIterator[asyncio.Task[None]]:
    """A notifier in this process, for the length of the block; it must end without an error."""
    stop = asyncio.Event()
    task = asyncio.create_task(run_until(stop, assemble(settings, policy=policy, lease=lease)))
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

    async def end_lease(self, account_id: str) -> None:
        """As if the process that sends to the account had not been heard of for minutes."""
        await self.rows("UPDATE notifier.claims SET until = now() WHERE account_id = $1", account_id)
        await self.rows("UPDATE notifier.messages SET due_at = now() WHERE account_id = $1", account_id)

    async def last_dead_letter(self) -> asyncpg.Record | None:
        rows = await self.rows("SELECT * FROM notifier.dead_letters ORDER BY id DESC LIMIT 1")
        return rows[0] if rows else None
