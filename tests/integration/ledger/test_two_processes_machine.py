"""Any history of an account, sent to two processes and an operator at once and again late, adds up in other books."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from contracts.balance import Balance
from contracts.errors import SolarisError
from ledger.application.executor import BusyError, Executor
from ledger.application.recent import RecentAccounts
from ledger.application.submission import Kind
from ledger.audit.verify import Verified, verify
from ledger.domain.catalog import Catalog, Plan
from ledger.domain.commands import AdvanceAccount
from ledger.domain.decision import Answer
from ledger.domain.policy import Policy
from msgspec.structs import replace

from tests.integration.ledger.account_books import Books, Heard
from tests.integration.ledger.account_histories import OPERATOR, Message, Sent, describe, draw_history

HISTORIES = int(os.environ.get("SOLARIS_MACHINE_HISTORIES", "2000"))
"""About a minute; 10,000 before a release or after a change of what processes remember."""
AT_ONCE = 50
VERIFIED_EVERY = 2_000
POLICY = Policy(
    catalog=Catalog(
        version="1",
        plans={
            "basic": Plan(name="basic", monthly_tokens=10_000),
            "premium": Plan(name="premium", monthly_tokens=20_000),
        },
        models=(),
    )
)
OVERDUE = replace(POLICY, hold_ttl=timedelta(seconds=-1))
"""Holds made by it may be expired at once, and usage that comes for them is late."""


class HistoryError(AssertionError):
    """A history that does not add up, with all that is needed to send it again."""


@asynccontextmanager
async def processes(database_url: str) -> AsyncIterator[tuple[Executor, Executor]]:
    async with Executor(database_url, POLICY) as first, Executor(database_url, OVERDUE) as second:
        yield first, second


async def submit(executor: Executor, message: Message) -> Answer:
    """A process that is busy is asked again, as everybody does; on a crowded machine a commit may take long."""
    while True:
        try:
            answer = executor.submit(message.command, message.kind, idempotency=message.idempotency)
        except BusyError:
            await asyncio.sleep(0.05)
        else:
            return await answer


async def send(executors: tuple[Executor, ...], sent: Sent) -> Heard:
    try:
        return await submit(executors[sent.process], sent.message)
    except SolarisError as error:
        return error


async def run_history(executors: tuple[Executor, ...], seed: int, prefix: str) -> None:
    account_id = f"{prefix}-{seed}"
    steps, books = draw_history(seed, account_id), Books()
    for number, step in enumerate(steps):
        heard = await asyncio.gather(*(send(executors, sent) for sent in step))
        read = Message(AdvanceAccount(account_id=account_id), Kind.SWEEPER)
        balance = await submit(executors[(seed + number) % OPERATOR], read)
        try:
            assert isinstance(balance, Balance)
            books.hear([(sent.message, answer) for sent, answer in zip(step, heard, strict=True)])
            books.compare(balance)
        except AssertionError as error:
            story, shown = describe(steps[: number + 1]), "\n".join(map(repr, heard))
            raise HistoryError(f"seed {seed}: {error}\n{story}\nlast answers:\n{shown}\n{balance}") from error


async def run_histories(
    serving: tuple[Executor, Executor], database_url: str, seeds: range, prefix: str
) -> list[HistoryError]:
    """`AT_ONCE` beside each other, each lot of them with an operator who comes and goes, until any does not add up."""
    for start in range(seeds.start, seeds.stop, AT_ONCE):
        together = range(start, min(start + AT_ONCE, seeds.stop))
        async with Executor(database_url, POLICY) as operator:
            histories = [run_history((*serving, operator), seed, prefix) for seed in together]
            ends = await asyncio.gather(*histories, return_exceptions=True)
        for end in ends:
            if end is not None and not isinstance(end, HistoryError):
                raise end
        if wrong := [end for end in ends if isinstance(end, HistoryError)]:
            return wrong
    return []


@pytest.mark.timeout(1_800)
async def test_any_history_of_two_processes_and_an_operator_adds_up(migrated: str) -> None:
    async with processes(migrated) as serving:
        for start in range(0, HISTORIES, VERIFIED_EVERY):
            seeds = range(start, min(start + VERIFIED_EVERY, HISTORIES))
            wrong = await run_histories(serving, migrated, seeds, "machine")
            assert not wrong, "\n\n".join(map(str, wrong))
            verified = await verify(migrated)
            assert isinstance(verified, Verified), verified


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory in which open holds outlive what another process committed."""
    monkeypatch.setattr(RecentAccounts, "_forget", lambda *_: None)
    monkeypatch.setattr(RecentAccounts, "_forget_holds", lambda *_: None)


@pytest.mark.usefixtures("forgetful")
async def test_the_books_find_a_charge_that_was_made_twice(migrated: str) -> None:
    found: list[str] = []
    async with processes(migrated) as serving:
        for start in range(0, 1_000, AT_ONCE):
            wrong = await run_histories(serving, migrated, range(start, start + AT_ONCE), "forgetful")
            found = [str(error) for error in wrong if "charged twice" in str(error)]
            if found:
                break
    assert found
