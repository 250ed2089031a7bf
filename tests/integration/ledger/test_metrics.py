"""What operators watch moves when what it tells of happens."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import asyncpg
import pytest
import pytest_asyncio
from chassis import locks
from chassis.ids import new_uuid7
from contracts.usage import Outcome
from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.catalog_file import load_policy
from ledger.domain.commands import GrantCredits
from ledger.settings import LedgerSettings

from tests.integration.ledger.conftest import Conversation, LedgerProcess
from tests.support.eventually import eventually

TTL_SECONDS = 3


@dataclass
class Stage:
    """The ledger that is watched, and hands to make something happen to it."""

    gateway: Conversation
    database: asyncpg.Connection
    url: str


type Happening = Callable[[Stage], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def refused(stage: Stage, **fields: object) -> AsyncIterator[None]:
    assert (await stage.gateway.reserve("refused", **fields)).refused is not None
    yield


@asynccontextmanager
async def refused_late(stage: Stage) -> AsyncIterator[None]:
    assert (
        await stage.gateway.reserve("refused", deadline=datetime.now(UTC) - timedelta(minutes=1))
    ).refused is not None
    yield


@asynccontextmanager
async def refused_after_its_end(stage: Stage) -> AsyncIterator[None]:
    await stage.gateway.record("closed", "r-closed", outcome=Outcome.NOT_FORWARDED)

    async def is_closed() -> bool:
        return (await stage.gateway.reserve("closed", reservation_id="r-closed")).refused is not None

    await eventually(is_closed)
    yield


@asynccontextmanager
async def refused_as_another_content(stage: Stage) -> AsyncIterator[None]:
    await stage.gateway.reserve("refused", reservation_id="r-conflict")
    assert (await stage.gateway.reserve("refused", reservation_id="r-conflict", prompt_tokens=7)).refused is not None
    yield


@asynccontextmanager
async def account_moved_on(stage: Stage) -> AsyncIterator[None]:
    """By another process, behind the back of the one that remembers it."""
    await stage.gateway.reserve("moved")
    async with Executor(stage.url, load_policy(LedgerSettings(database_url=stage.url))) as other:
        grant = GrantCredits(account_id="moved", lot_id="lot", tokens=5, source="admin", reference="r")
        await other.submit(grant, Kind.ADMIN)
    await stage.gateway.reserve("moved")
    yield


@asynccontextmanager
async def commit_cut(stage: Stage) -> AsyncIterator[None]:
    """The connection breaks while a commit is on its way: whether it was made is unknown."""
    waiting = """
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event = 'advisory' AND application_name LIKE 'ledger%'
    """
    async with stage.database.transaction():
        await stage.database.execute("SELECT pg_advisory_xact_lock($1)", locks.APPEND)
        stuck = asyncio.create_task(stage.gateway.reserve("cut"))
        pid = await eventually(lambda: stage.database.fetchval(waiting))
        await stage.database.execute("SELECT pg_terminate_backend($1)", pid)
    await stuck
    yield


@asynccontextmanager
async def relay_cut(stage: Stage) -> AsyncIterator[None]:
    await stage.database.execute(
        """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'ledger-relay'
        """
    )
    yield


@asynccontextmanager
async def account_due_that_can_t_be_read(stage: Stage) -> AsyncIterator[None]:
    await stage.database.execute(
        """
        INSERT INTO ledger.accounts (account_id, version, state, due_at)
        VALUES ('unreadable', 1, '{"account_id": 1}', TIMESTAMPTZ '2020-01-01 00:00Z')
        """
    )
    try:
        yield
    finally:
        await stage.database.execute("DELETE FROM ledger.accounts WHERE account_id = 'unreadable'")


@asynccontextmanager
async def usage_waits(stage: Stage) -> AsyncIterator[None]:
    """So no hold ends that would end meanwhile."""
    await stage.gateway.reserve("waits")
    async with stage.database.transaction():
        await stage.database.execute("SELECT pg_advisory_xact_lock($1)", locks.APPEND)
        await stage.gateway.record("waits", new_uuid7(), prompt=1)
        yield


@asynccontextmanager
async def usage_without_a_hold(stage: Stage) -> AsyncIterator[None]:
    await stage.gateway.record("unreserved", "r-unreserved", prompt=1)
    yield


@asynccontextmanager
async def usage_after_its_hold_expired(stage: Stage) -> AsyncIterator[None]:
    await stage.gateway.reserve("corrected", reservation_id="r-corrected")
    await stage.gateway.settled("corrected", 200)
    await stage.gateway.record("corrected", "r-corrected", prompt=1)
    yield


@asynccontextmanager
async def usage_of_a_model_without_a_price(stage: Stage) -> AsyncIterator[None]:
    await stage.gateway.reserve("unpriced", reservation_id="r-unpriced", model="that-nobody-lists")
    await stage.gateway.record("unpriced", "r-unpriced", prompt=1)
    yield


@asynccontextmanager
async def message_given_up(stage: Stage) -> AsyncIterator[None]:
    await stage.gateway.client.jetstream().publish("solaris.usage.recorded.poison", b'{"not": "an event"}')
    yield


REFUSED = "solaris_ledger_refused_total"
MOVES: list[tuple[str, dict[str, str], Happening]] = [
    (REFUSED, {"code": "insufficient_tokens"}, partial(refused, prompt_tokens=50_000_000)),
    (REFUSED, {"code": "invalid_request"}, partial(refused, reservation_id="no id")),
    (REFUSED, {"code": "late"}, refused_late),
    (REFUSED, {"code": "reservation_closed"}, refused_after_its_end),
    (REFUSED, {"code": "conflict"}, refused_as_another_content),
    ("solaris_ledger_memory_misses_total", {}, account_moved_on),
    ("solaris_ledger_reruns_total", {}, commit_cut),
    ("solaris_ledger_relay_errors_total", {}, relay_cut),
    ("solaris_ledger_sweeper_backlog", {}, account_due_that_can_t_be_read),
    ("solaris_ledger_oldest_overdue_hold_seconds", {}, usage_waits),
    ("solaris_ledger_usage_pending", {}, usage_waits),
    ("solaris_ledger_unreserved_usage_total", {}, usage_without_a_hold),
    ("solaris_ledger_corrections_total", {}, usage_after_its_hold_expired),
    ("solaris_ledger_unpriced_usage_total", {}, usage_of_a_model_without_a_price),
    ("solaris_ledger_waiting_dead_letters", {}, message_given_up),
]
COMES_BACK = {
    "solaris_ledger_sweeper_backlog",
    "solaris_ledger_oldest_overdue_hold_seconds",
    "solaris_ledger_usage_pending",
}
"""What tells a state that is over once its cause is."""


@pytest_asyncio.fixture(scope="module", autouse=True)
async def short_holds(ledger: LedgerProcess) -> None:
    await ledger.stop()
    ledger.environment["SOLARIS_HOLD_TTL_SECONDS"] = str(TTL_SECONDS)
    await ledger.start()


@pytest.fixture
def stage(gateway: Conversation, database: asyncpg.Connection, migrated: str) -> Stage:
    return Stage(gateway, database, migrated)


@pytest.mark.parametrize(
    ("name", "labels", "happening"), MOVES, ids=[":".join([name, *labels.values()]) for name, labels, _ in MOVES]
)
async def test_what_happens_is_told(
    ledger: LedgerProcess, stage: Stage, name: str, labels: dict[str, str], happening: Happening
) -> None:
    async def is_idle() -> bool:
        return await ledger.metric(name) == 0

    async def has_moved() -> bool:
        return await ledger.metric(name, **labels) > before

    if name in COMES_BACK:
        await eventually(is_idle, 20)
    before = await ledger.metric(name, **labels)
    async with happening(stage):
        await eventually(has_moved, 20)
    if name in COMES_BACK:
        await eventually(is_idle, 20)


async def test_one_of_two_processes_is_the_leader_of_the_relay(ledger: LedgerProcess) -> None:
    async def leads() -> bool:
        return await ledger.metric("solaris_ledger_relay_leader") == 1

    await eventually(leads, 20)
