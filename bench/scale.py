"""`python -m bench.scale`: what a ledger with very many accounts and events costs at rest, and what reading it takes.

One account lives through calls of its own on the running stack; the others are copies of it, each with its own ids and
its own hash chain, written with COPY while the stack is down. It takes minutes and gigabytes: it is measured by hand.
One JSON object on standard output.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
import uvloop
from chassis.ids import new_uuid7
from ledger.store import due
from ledger.store.codec import GENESIS, chain_hash
from local_run.servers.postgres import running_postgres

from bench.processes import REPOSITORY
from bench.progress import say
from bench.resources import cpu_seconds
from tests.support.stack import Stack

TEMPLATE: Final = "scale-0000000"
CALLS: Final = 4
SMALL_ACCOUNTS: Final = 20_000
COPIED_AT_ONCE: Final = 5_000
IDLE_SECONDS: Final = 60.0
READINGS: Final = 7
_PAGE: Final = 500
_VERIFY_SECONDS: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class Template:
    """The rows of the account that is copied, each as COPY takes it, without generated columns."""

    events: list[asyncpg.Record]
    rows: Mapping[str, list[dict[str, Any]]]
    """By table: accounts, holds and lots."""


async def _read_template(connection: asyncpg.Connection) -> Template:
    events = await connection.fetch(
        "SELECT version, id, type, recorded_at, data FROM ledger.events WHERE account_id = $1 ORDER BY version",
        TEMPLATE,
    )
    rows = {
        table: [
            dict(row) for row in await connection.fetch(f"SELECT * FROM ledger.{table} WHERE account_id = $1", TEMPLATE)
        ]
        for table in ("accounts", "holds", "lots")
    }
    return Template(events, rows)


async def _copy(connection: asyncpg.Connection, template: Template, numbers: range) -> None:
    """Accounts with these numbers, whole: events, holds, lots and state, in one transaction."""
    heads: dict[str, bytes] = {}

    def events() -> Iterator[tuple[object, ...]]:
        for account_id in map(_account, numbers):
            head = GENESIS
            for event in template.events:
                identifier = new_uuid7()
                data = event["data"].replace(TEMPLATE.encode(), account_id.encode())
                data = data.replace(str(event["id"]).encode(), str(identifier).encode())
                head = chain_hash(head, account_id, event["version"], data)
                yield account_id, event["version"], identifier, event["type"], event["recorded_at"], data, head
            heads[account_id] = head

    async with connection.transaction():
        columns = ("account_id", "version", "id", "type", "recorded_at", "data", "hash")
        await connection.copy_records_to_table("events", schema_name="ledger", columns=columns, records=events())
        for table, rows in template.rows.items():
            if not rows:
                continue
            copies = (
                tuple(
                    heads[account_id] if name == "head" else _renamed(value, account_id) for name, value in row.items()
                )
                for account_id in map(_account, numbers)
                for row in rows
            )
            await connection.copy_records_to_table(table, schema_name="ledger", columns=tuple(rows[0]), records=copies)


def _renamed(value: object, account_id: str) -> object:
    return value.replace(TEMPLATE, account_id) if isinstance(value, str) else value


def _account(number: int) -> str:
    return f"scale-{number:07}"


async def _fill(stack: Stack, numbers: range) -> int:
    """Copy the template to these accounts while the stack is down; returns the number of events there are then."""
    owner = stack.owner_database_url()
    password = urlsplit(owner).password
    assert password is not None, "the owner's address carries it"
    async with running_postgres(stack.directory / "postgres", port=stack.ports["postgres"], password=password):
        connection = await asyncpg.connect(owner, timeout=10)
        try:
            template = await _read_template(connection)
            for first in range(numbers.start, numbers.stop, COPIED_AT_ONCE):
                await _copy(connection, template, range(first, min(first + COPIED_AT_ONCE, numbers.stop)))
            # A ledger that has stood for a while has told its events, and its tables have been looked after.
            await connection.execute("UPDATE ledger.relay SET position = (SELECT max(position) FROM ledger.events)")
            await connection.execute("VACUUM ANALYZE", timeout=1_800)
            await connection.execute("CHECKPOINT", timeout=600)
            count: int = await connection.fetchval("SELECT count(*) FROM ledger.events", timeout=600)
            return count
        finally:
            await connection.close()


async def _live(stack: Stack) -> None:
    """The template's life: calls, credits, and nothing held at the end."""
    client = stack.async_client(TEMPLATE)
    for _ in range(CALLS):
        await client.chat.completions.create(
            model="demo-usage:12:0:30", messages=[{"role": "user", "content": "Olá! Quem é você?"}]
        )
    await asyncio.to_thread(stack.credit, TEMPLATE, 1_000)
    await asyncio.to_thread(stack.wait_settled, TEMPLATE)


async def _at_rest(stack: Stack) -> dict[str, float]:
    """What the ledger and Postgres use while nobody calls, and what the database needs for one look at what is due."""
    await asyncio.sleep(10)
    pids = {service: stack.pid(service) for service in ("ledger", "postgres")}
    before = {service: cpu_seconds(pid) for service, pid in pids.items()}
    await asyncio.sleep(IDLE_SECONDS)
    cores = {service: (cpu_seconds(pid) - before[service]) / IDLE_SECONDS for service, pid in pids.items()}
    connection = await asyncpg.connect(stack.owner_database_url(), timeout=10)
    try:
        now = datetime.now(UTC)
        queries = (
            (due.DUE_ACCOUNTS, (now, *due.DueAccount(), _PAGE)),
            (due.EXPIRED_HOLDS, (now, *due.DueHold(), _PAGE)),
            (due.OLDEST_OPEN_HOLD, ()),
            (due.DATABASE_TIME, ()),
        )
        tick_ms = 0.0
        for query, arguments in queries:
            (plan,) = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments))
            tick_ms += plan["Planning Time"] + plan["Execution Time"]
    finally:
        await connection.close()
    return {
        "idle_ledger_percent_of_a_core": 100 * cores["ledger"],
        "idle_postgres_percent_of_a_core": 100 * cores["postgres"],
        "tick_ms_in_the_database": tick_ms,
    }


def _verify(stack: Stack) -> dict[str, float]:
    """Time of the operator's command, and the memory of its largest process."""
    started = time.perf_counter()
    child = subprocess.Popen(
        (sys.executable, "-m", "ledger.operate", "verify"),
        env={**os.environ, **stack.operator_environment()},
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"verify failed with {child.returncode}")
    return {"verify_seconds": time.perf_counter() - started, "verify_peak_mb": usage.ru_maxrss / 1024}


def _balance_seconds(stack: Stack, accounts: int) -> float:
    readings = []
    for number in range(READINGS):
        started = time.perf_counter()
        completed = stack.make("balance", f"ACCOUNT={_account(1 + number * (accounts - 1) // READINGS)}")
        readings.append(time.perf_counter() - started)
        if completed.returncode != 0 or not re.search(r'"credits":\s*1000\b', completed.stdout):
            sys.exit(f"balance: {completed.stdout}{completed.stderr}")
    return statistics.median(readings)


async def _run(directory: Path, accounts: int) -> dict[str, Any]:
    stack = Stack(directory / "data")
    stack.start()
    try:
        await _live(stack)
        figures: dict[str, Any] = {}
        filled = 1
        for size in sorted({min(SMALL_ACCOUNTS, accounts), accounts}):
            stack.stop()
            say(f"copying up to {size:,} accounts")
            started = time.perf_counter()
            events = await _fill(stack, range(filled, size))
            say(f"{events:,} events stand after {time.perf_counter() - started:.0f} s; measuring")
            filled = size
            stack.start()
            figures[f"{size} accounts"] = {
                "events": events,
                **await _at_rest(stack),
                "balance_seconds": await asyncio.to_thread(_balance_seconds, stack, size),
                **await asyncio.to_thread(_verify, stack),
            }
            say(json.dumps(figures[f"{size} accounts"]))
        return figures
    finally:
        stack.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--directory", type=Path, default=None, help="where the data is kept meanwhile")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory, prefix="scale-") as directory:
        Path(directory).chmod(0o755)  # Postgres runs as another user where this one is root
        figures = uvloop.run(_run(Path(directory), arguments.accounts))
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
