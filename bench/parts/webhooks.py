"""`python -m bench.parts.webhooks`: a burst of Stripe's webhooks, stored, answered and handled. One JSON object.

A billing of its own process, with Postgres, NATS and the demo Stripe beside it. Each order that was paid at the demo is
told of many times, under other event ids: each is to be handled, and each order to be credited once.
"""

import argparse
import asyncio
import contextlib
import hmac
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import uvloop
from chassis.core_nats.client import CoreNats
from chassis.migrations import migrate
from chassis.provisioning import provision
from contracts import topology
from local_run.demo_stripe.server import run_demo_stripe
from local_run.ports import any_free
from local_run.servers.nats_server import running_nats
from local_run.servers.postgres import running_postgres

from bench.load.figures import percentile
from bench.processes import REPOSITORY, answers, python_program, running
from bench.resources import machine_busy_seconds

API_KEY: Final = "sk_test_bench"
SECRET: Final = "whsec_of_the_bench_0123456789"
SERVICE_KEY: Final = "sk-service-of-the-bench"
EVENTS: Final = 1_000
ORDERS: Final = 100
CALLERS: Final = 16
"""Connections that deliver at once; one delivers the next when the last is answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstResult:
    """`other_cpus` is how many CPUs everything on the machine kept busy during the burst, we and billing included."""

    events: int
    orders: int
    callers: int
    stored_per_second: float
    p50_ms: float
    p99_ms: float
    handled_seconds: float
    credited: int
    busy_cpus: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    billing_port: int
    database_url: str
    demo_url: str


@contextlib.asynccontextmanager
async def _surroundings(directory: Path) -> AsyncIterator[Surroundings]:
    port = any_free()
    async with (
        running_postgres(directory / "postgres") as postgres,
        running_nats(directory / "nats") as nats,
        run_demo_stripe(
            port=any_free(), api_key=API_KEY, webhook_url=None, webhook_secret=SECRET, path=directory / "stripe.json"
        ) as demo,
    ):
        database_url = postgres.url("postgres")
        await migrate(database_url, "billing")
        async with CoreNats(nats.url(), service="operator") as client:
            await client.wait_connected(10)
            await provision(client, topology.STREAMS, topology.CONSUMERS)
        environment = {
            "SOLARIS_BILLING_PORT": str(port),
            "SOLARIS_DATABASE_URL": database_url,
            "SOLARIS_NATS_URL": nats.url(),
            "SOLARIS_CATALOG": str(REPOSITORY / "deploy" / "catalog.toml"),
            "SOLARIS_GATEWAY_KEYS": SERVICE_KEY,
            "SOLARIS_STRIPE_API_KEY": API_KEY,
            "SOLARIS_STRIPE_WEBHOOK_SECRETS": SECRET,
            "SOLARIS_STRIPE_API_BASE": demo.url,
        }
        program = python_program("billing", "-m", "billing", environment=environment)
        log = directory / "billing.log"
        async with running(program, log, is_ready=lambda: answers(port, "/health/ready"), timeout_seconds=60):
            yield Surroundings(billing_port=port, database_url=database_url, demo_url=demo.url)


async def _paid_sessions(around: Surroundings, orders: int) -> list[dict[str, Any]]:
    """Checkouts that people paid, as the demo's events hold them."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        for number in range(orders):
            answer = await http.post(
                f"http://127.0.0.1:{around.billing_port}/billing/purchase-credits",
                json={"package_id": "small", "account_id": f"burst-{number}"},
                headers={"authorization": f"Bearer {SERVICE_KEY}"},
            )
            answer.raise_for_status()
            url = answer.json()["checkout_url"]
            (await http.post(f"{url}/pay", json={"method": "card", "outcome": "paid"})).raise_for_status()
        found: dict[str, dict[str, Any]] = {}
        after: dict[str, str] = {}
        while len(found) < orders:
            page = await http.get(
                f"{around.demo_url}/v1/events",
                params={"type": "checkout.session.completed", "limit": "100", **after},
                headers={"authorization": f"Bearer {API_KEY}"},
            )
            events = page.raise_for_status().json()["data"]
            found |= {event["data"]["object"]["id"]: event for event in events}
            after = {"starting_after": events[-1]["id"]}
    return list(found.values())


def _signed(event: dict[str, Any], number: int) -> bytes:
    """The whole request, so that the burst costs the other side's time and not ours."""
    body = json.dumps(event | {"id": f"evt_burst{number:06}"}).encode()
    at = int(time.time())
    mac = hmac.new(SECRET.encode(), f"{at}.".encode() + body, "sha256").hexdigest()
    head = (
        "POST /billing/webhook/stripe HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"stripe-signature: t={at},v1={mac}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _deliver(port: int, requests: list[bytes], times: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while requests:
        request = requests.pop()
        started = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(int(length.partition(b":")[2]))
        times.append(time.perf_counter() - started)
    writer.close()


async def _handled(connection: asyncpg.Connection, events: int) -> int:
    """Credits said, once all events are handled."""
    query = "SELECT count(*) FROM billing.webhook_events WHERE status = 'handled' AND id LIKE 'evt_burst%'"
    async with asyncio.timeout(300):
        while await connection.fetchval(query) < events:  # noqa: ASYNC110  of another process
            await asyncio.sleep(0.05)
    said = "SELECT count(*) FROM billing.outbox WHERE name = 'billing.credits_purchased'"
    return int(await connection.fetchval(said))


async def measure(events: int, orders: int, callers: int, directory: Path) -> BurstResult:
    """One burst."""
    async with _surroundings(directory) as around:
        paid = await _paid_sessions(around, orders)
        requests = [_signed(paid[number % orders], number) for number in range(events)]
        times: list[float] = []
        connection = await asyncpg.connect(around.database_url)
        busy, started = machine_busy_seconds(), time.perf_counter()
        await asyncio.gather(*(_deliver(around.billing_port, requests, times) for _ in range(callers)))
        seconds = time.perf_counter() - started
        busy_cpus = (machine_busy_seconds() - busy) / seconds
        credited = await _handled(connection, events)
        handled_seconds = time.perf_counter() - started
        await connection.close()
    return BurstResult(
        events=events,
        orders=orders,
        callers=callers,
        stored_per_second=events / seconds,
        p50_ms=percentile(sorted(times), 50) * 1_000,
        p99_ms=percentile(sorted(times), 99) * 1_000,
        handled_seconds=handled_seconds,
        credited=credited,
        busy_cpus=busy_cpus,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--directory", type=Path, required=True)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="webhooks-", dir=options.directory) as directory:
        result = uvloop.run(measure(options.events, ORDERS, CALLERS, Path(directory)))
    sys.stdout.write(json.dumps(asdict(result)) + "\n")


if __name__ == "__main__":
    main()
