"""`python -m bench.parts.ledger_alone`: durable commands through the ledger's executor, on a Postgres of its own.

Callers are closed loops in the executor's process: each submits, waits for its commit, submits again. One JSON object
on standard output.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import asyncpg
import uvloop
from chassis.ids import new_uuid7
from chassis.migrations import migrate
from contracts.events.usage import UsageRecorded
from contracts.reservations import Granted
from contracts.usage import Outcome, TokenUsage, UsageSource
from ledger.application.committer import CONNECTION_SETTINGS
from ledger.application.content import usage_hash
from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.domain.catalog import Catalog, Model, Plan
from ledger.domain.commands import ReserveTokens, SettleUsage
from ledger.domain.policy import Policy
from ledger.metrics import BATCH_SIZE
from local_run.servers.postgres import running_postgres

from bench.load.answers import COMPLETION_TOKENS, MODEL, PROMPT_TOKENS
from bench.load.figures import percentile
from bench.load.requests import USERS, user_id
from bench.resources import cpu_seconds, descendants, machine_busy_seconds

ROOMY_TOKENS: Final = 10**12
"""Nobody runs out and nobody has too many open holds: the bench reserves without settling."""
WARM_UP_CALLERS: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`settles`: each caller also settles its reservation; one command then means one of the two."""

    name: str
    accounts: int
    callers: int
    settles: bool = False


CASES: Final = (
    *(Case(name=f"reserve, {USERS} accounts", accounts=USERS, callers=callers) for callers in (1, 16, 64, 128, 256)),
    *(Case(name="reserve, one account", accounts=1, callers=callers) for callers in (64, 128, 256)),
    Case(name=f"reserve and settle, {USERS} accounts", accounts=USERS, callers=128, settles=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """CPU in microseconds per command: of the executor with its callers, and of Postgres.

    `other_cpus` is how many CPUs everything else on the machine kept busy meanwhile.
    """

    name: str
    callers: int
    commands_per_second: float
    p50_ms: float
    p99_ms: float
    mean_batch: float
    process_cpu_us: float
    postgres_cpu_us: float
    other_cpus: float


async def _measure(case: Case, executor: Executor, seconds: float) -> CaseResult:
    accounts = [user_id(number) for number in range(case.accounts)] if case.accounts > 1 else ["bench-alone"]
    latencies: list[float] = []
    (postgres,) = _children()
    batches = _batches()
    postgres_cpu, process_cpu, busy = cpu_seconds(postgres), time.process_time(), machine_busy_seconds()
    started = time.perf_counter()
    call = _reserve_and_settle if case.settles else _reserve
    callers = (_call(executor, accounts, number, started + seconds, latencies, call) for number in range(case.callers))
    await asyncio.gather(*callers)
    elapsed = time.perf_counter() - started
    process_cpu = time.process_time() - process_cpu
    postgres_cpu = cpu_seconds(postgres) - postgres_cpu
    busy = machine_busy_seconds() - busy
    commands = len(latencies)
    latencies.sort()
    count, total = (after - before for before, after in zip(batches, _batches(), strict=True))
    return CaseResult(
        name=case.name,
        callers=case.callers,
        commands_per_second=commands / elapsed,
        p50_ms=percentile(latencies, 50) * 1_000,
        p99_ms=percentile(latencies, 99) * 1_000,
        mean_batch=total / max(1, count),
        process_cpu_us=process_cpu / commands * 1e6,
        postgres_cpu_us=postgres_cpu / commands * 1e6,
        other_cpus=max(0.0, busy - process_cpu - postgres_cpu) / elapsed,
    )


type _Call = Callable[[Executor, str, list[float]], Awaitable[None]]


async def _call(  # noqa: PLR0917  all of it is one caller's share of a case
    executor: Executor, accounts: Sequence[str], number: int, ends_at: float, latencies: list[float], call: _Call
) -> None:
    turn = number * 7_919
    while time.perf_counter() < ends_at:
        await call(executor, accounts[turn % len(accounts)], latencies)
        turn += 31


async def _reserve(executor: Executor, account_id: str, latencies: list[float]) -> None:
    await _submit_reserve(executor, account_id, latencies)


async def _reserve_and_settle(executor: Executor, account_id: str, latencies: list[float]) -> None:
    reservation_id = await _submit_reserve(executor, account_id, latencies)
    usage = UsageRecorded(
        reservation_id=reservation_id,
        model=MODEL,
        endpoint="/v1/chat/completions",
        usage=TokenUsage(prompt_tokens=PROMPT_TOKENS, completion_tokens=COMPLETION_TOKENS),
        usage_source=UsageSource.PROVIDER,
        outcome=Outcome.COMPLETED,
        status=200,
        started_at=datetime.now(UTC),
        duration_ms=1,
        first_token_ms=1,
        estimated_prompt_tokens=PROMPT_TOKENS,
        conversation_id=None,
    )
    started = time.perf_counter()
    command = SettleUsage(account_id=account_id, usage=usage, content_hash=usage_hash(usage))
    await executor.submit(command, Kind.USAGE)
    latencies.append(time.perf_counter() - started)


async def _submit_reserve(executor: Executor, account_id: str, latencies: list[float]) -> str:
    command = ReserveTokens(
        account_id=account_id,
        reservation_id=new_uuid7(),
        model=MODEL,
        endpoint="/v1/chat/completions",
        prompt_tokens=PROMPT_TOKENS,
        content_hash="ab" * 16,
        maximum_output_tokens=COMPLETION_TOKENS,
    )
    started = time.perf_counter()
    answer = await executor.submit(command, Kind.RESERVE)
    latencies.append(time.perf_counter() - started)
    assert isinstance(answer, Granted), answer
    return command.reservation_id


def _batches() -> tuple[float, float]:
    """How many batches there were so far, and how many commands in them."""
    samples = {sample.name: sample.value for metric in BATCH_SIZE.collect() for sample in metric.samples}
    return samples["solaris_ledger_batch_size_count"], samples["solaris_ledger_batch_size_sum"]


def _children() -> list[int]:
    """Our one direct child, Postgres."""
    return descendants(os.getpid())[:1]


async def _durability(database_url: str) -> dict[str, str]:
    """What the server itself says of its durability, on a connection as the executor's."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(
        database_url, timeout=5, server_settings=CONNECTION_SETTINGS
    )
    try:
        names = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "server_version")
        return {name: await connection.fetchval(f"SHOW {name}") for name in names}
    finally:
        await connection.close()


async def _run(directory: Path, seconds: float, rounds: int) -> dict[str, object]:
    model = Model(pattern="*", max_output_tokens=4_096)
    plan = Plan(name="basic", monthly_tokens=ROOMY_TOKENS)
    catalog = Catalog(version="bench", plans={"basic": plan}, models=(model,))
    policy = Policy(catalog=catalog, max_open_holds=ROOMY_TOKENS)
    async with running_postgres(directory / "postgres") as server:
        url = server.url("postgres", socket=True)
        await migrate(server.url("postgres"), "ledger")
        async with Executor(url, policy, openings_per_minute=ROOMY_TOKENS) as executor:
            warm_up = Case(name="warm-up", accounts=USERS, callers=WARM_UP_CALLERS)
            await _measure(warm_up, executor, seconds)
            measured = [await _measure(case, executor, seconds) for _ in range(rounds) for case in CASES]
        return {"durability": await _durability(url), "cases": [asdict(result) for result in measured]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--directory", type=Path, default=None)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory, prefix="ledger-") as directory:
        result = uvloop.run(_run(Path(directory), arguments.seconds, arguments.rounds))
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
