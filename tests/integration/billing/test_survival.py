"""Killed with -9 at each step, or cut off from Postgres, NATS or Stripe meanwhile: one credit, and none lost."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
import stripe
from billing.settings import BillingSettings

from tests.support.billing import BillingStage, empty_stage, environment_of, running_billing, settings_for
from tests.support.chokepoint import Chokepoint, chokepoint
from tests.support.demo_stripe import WEBHOOK_SECRET
from tests.support.eventually import eventually

TOKENS: Final = 500_000
HANDLING: Final[list[tuple[str, tuple[bytes, ...]]]] = [
    ("postgres", (b"INSERT INTO billing.webhook_events",)),
    ("postgres", (b"INSERT INTO billing.webhook_events", b"WHERE billing.orders.id = ")),
    ("stripe", (b"GET /v1/checkout/sessions/",)),
    ("stripe", (b"GET /v1/refunds",)),
    ("postgres", (b"UPDATE billing.orders SET id=",)),
    ("postgres", (b"INSERT INTO billing.order_changes",)),
    ("postgres", (b"pg_advisory_xact_lock",)),
    ("postgres", (b"INSERT INTO billing.outbox",)),
    ("postgres", (b"INSERT INTO billing.outbox", b"COMMIT")),
    ("postgres", (b"UPDATE billing.webhook_events SET status",)),
    ("nats", (b"PUB solaris.billing.credits_purchased",)),
]
"""What becomes of an event, step by step: killed once the server has done the last of them, and nobody has heard."""
PLACING: Final[list[tuple[str, tuple[bytes, ...]]]] = [
    ("postgres", (b"INSERT INTO billing.orders",)),
    ("postgres", (b"INSERT INTO billing.orders", b"COMMIT")),
    ("stripe", (b"POST /v1/customers",)),
    ("postgres", (b"INSERT INTO billing.customers",)),
    ("stripe", (b"POST /v1/checkout/sessions",)),
    ("postgres", (b"UPDATE billing.orders SET id=",)),
    ("postgres", (b"UPDATE billing.orders SET id=", b"COMMIT")),
]


@dataclass(frozen=True)
class Doomed:
    """A billing of its own process, whose every byte to a server passes a point where it can be killed."""

    settings: BillingSettings
    points: dict[str, Chokepoint]
    output: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.billing_port}"

    @asynccontextmanager
    async def running(self, http: httpx.AsyncClient) -> AsyncIterator[asyncio.subprocess.Process]:
        with self.output.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "billing"), env=environment_of(self.settings), stdout=file, stderr=file
            )
        try:

            async def ready() -> bool:
                assert process.returncode is None, self.output.read_text()[-2_000:]
                try:
                    return (await http.get(f"{self.url}/health/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(ready, 60.0, message="billing is ready")
            yield process
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()

    def kill_at(self, process: asyncio.subprocess.Process, server: str, steps: tuple[bytes, ...]) -> None:
        """Arm the point; the process dies there."""
        self.points[server].arm(*steps, act=lambda: process.send_signal(signal.SIGKILL))

    async def dies(self, process: asyncio.subprocess.Process, server: str, steps: tuple[bytes, ...]) -> None:
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            raise AssertionError(f"never came to {steps} of {server}: {self.output.read_text()[-3_000:]}") from None
        assert self.points[server].reached.is_set(), (server, steps)


@asynccontextmanager
async def _doomed(settings: BillingSettings, output: Path) -> AsyncIterator[Doomed]:
    urls = {"postgres": settings.database_url, "nats": settings.nats_url, "stripe": settings.stripe_api_base or ""}
    async with AsyncExitStack() as stack:
        points, through = {}, {}
        for name, url in urls.items():
            parts = urlsplit(url)
            assert parts.hostname is not None
            assert parts.port is not None
            points[name] = await stack.enter_async_context(chokepoint(parts.hostname, parts.port))
            through[name] = url.replace(f":{parts.port}", f":{points[name].port}")
        changed = settings.model_copy(
            update={
                "database_url": through["postgres"],
                "nats_url": through["nats"],
                "stripe_api_base": through["stripe"],
                "sweep_seconds": 3_600.0,
            }
        )
        yield Doomed(changed, points, output)


async def _deliver(http: httpx.AsyncClient, url: str, event: dict[str, Any]) -> bool:
    """Whether it was taken."""
    payload = json.dumps(event)
    header = stripe.WebhookSignature.generate_signature_header(payload, WEBHOOK_SECRET, int(time.time()))
    try:
        answer = await http.post(
            f"{url}/billing/webhook/stripe", content=payload, headers={"stripe-signature": header}, timeout=20
        )
    except httpx.TransportError:
        return False
    return answer.status_code == 200


async def _newest_event(stage: BillingStage) -> dict[str, Any]:
    """What says that the last Checkout was completed."""
    listed = await stage.stripe.client.v1.events.list_async({"type": "checkout.session.completed", "limit": 1})
    found: dict[str, Any] = json.loads(json.dumps(listed.data[0].to_dict(), default=str))
    return found


async def _paid_orders(stage: BillingStage, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Accounts whose order is paid at Stripe, and the event that says so, which nobody has delivered yet."""
    found = []
    for number in range(count):
        bought = await stage.buy(f"killed-{number}")
        paid = await stage.stripe.pay(bought["checkout_url"])
        event = await _newest_event(stage)
        assert event["data"]["object"]["payment_intent"] == paid["payment_intent"]
        found.append((f"killed-{number}", event))
    return found


@asynccontextmanager
async def _set(database_url: str, nats_url: str, output: Path) -> AsyncIterator[tuple[BillingStage, Doomed]]:
    """A stage on which nobody hears of Stripe by itself, and a billing that is to be killed."""
    async with (
        empty_stage(database_url, nats_url) as stage,
        _doomed(settings_for(database_url, nats_url, stage.stripe.url), output) as doomed,
    ):
        await stage.stripe.deliveries("drop")
        yield stage, doomed


@pytest.mark.timeout(600)  # it starts a process a step
async def test_a_worker_that_is_killed_at_each_step_of_an_event_credits_once(
    migrated_url: str, nats_url: str, tmp_path: Path
) -> None:
    async with _set(migrated_url, nats_url, tmp_path / "billing.log") as (stage, doomed):
        async with running_billing(stage.settings):
            orders = await _paid_orders(stage, len(HANDLING))
        answered = []
        for (_, event), (server, steps) in zip(orders, HANDLING, strict=True):
            async with doomed.running(stage.http) as process:
                doomed.kill_at(process, server, steps)
                answered.append(await _deliver(stage.http, doomed.url, event))
                await doomed.dies(process, server, steps)
        async with running_billing(stage.settings):
            # The leases of the dead are over, and Stripe delivers again what was not answered.
            await stage.rows("UPDATE billing.webhook_events SET due_at = now() WHERE status = 'waiting' RETURNING id")
            for (_, event), was_answered in zip(orders, answered, strict=True):
                assert was_answered or await _deliver(stage.http, stage.url, event)
            for account, _ in orders:
                assert (await stage.has_in_books(account, granted=TOKENS)).purchases == 1
            await stage.all_handled()


@pytest.mark.timeout(600)
async def test_a_purchase_that_is_killed_at_each_step_is_begun_once(
    migrated_url: str, nats_url: str, tmp_path: Path
) -> None:
    async with _set(migrated_url, nats_url, tmp_path / "billing.log") as (stage, doomed):
        asking = replace(stage, settings=doomed.settings)
        for number, (server, steps) in enumerate(PLACING):
            account = f"begun-{number}"
            async with doomed.running(stage.http) as process:
                doomed.kill_at(process, server, steps)
                with pytest.raises(httpx.TransportError):
                    await asking.buy(account)
                await doomed.dies(process, server, steps)
        async with doomed.running(stage.http):
            for number in range(len(PLACING)):
                account = f"begun-{number}"
                bought = await asking.buy(account)
                orders = await stage.rows("SELECT id FROM billing.orders WHERE account_id = $1", account)
                assert orders == [{"id": bought["order_id"]}]
                await stage.stripe.pay(bought["checkout_url"])
                await eventually(partial(_is_paid_when_visited, asking, bought["order_id"]), 20.0)
                await stage.has_in_books(account, granted=TOKENS)
        sessions = await stage.stripe.client.v1.checkout.sessions.list_async({"limit": 100})
        wanted = [each.client_reference_id async for each in sessions.auto_paging_iter()]
        assert len(wanted) == len(set(wanted)), "one Checkout an order"


async def _is_paid_when_visited(asking: BillingStage, order_id: str) -> bool:
    return bool((await asking.order(order_id))["state"] == "paid")


async def test_nothing_is_lost_while_postgres_nats_or_stripe_are_away(
    migrated_url: str, nats_url: str, tmp_path: Path
) -> None:
    """Each is away while an order is paid: Stripe delivers again what was not taken, and what was taken waits."""
    async with _set(migrated_url, nats_url, tmp_path / "billing.log") as (stage, away):
        asking = replace(stage, settings=away.settings)
        async with running_billing(away.settings):
            for server in ("postgres", "nats", "stripe"):
                account = f"without-{server}"
                bought = await asking.buy(account)
                await stage.stripe.pay(bought["checkout_url"])
                event = await _newest_event(stage)
                away.points[server].cut()
                taken = await _deliver(stage.http, away.url, event)
                assert taken is (server != "postgres")
                if server == "nats":
                    await stage.reaches(bought["order_id"], "paid")
                    assert (await stage.books(account)).purchases == 0
                away.points[server].restore()
                await eventually(partial(_taken, stage, away, event, taken), 20.0)
                await stage.has_in_books(account, granted=TOKENS)


async def _taken(stage: BillingStage, away: Doomed, event: dict[str, Any], taken: bool) -> bool:
    return taken or await _deliver(stage.http, away.url, event)
