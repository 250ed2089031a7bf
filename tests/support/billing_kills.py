"""A billing of its own process that is killed with -9 at a step: what it says to Postgres, NATS or Stripe."""

import json
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import stripe
from billing.settings import BillingSettings

from tests.support.billing import BillingStage, empty_stage, environment_of, settings_for
from tests.support.chokepoint import Chokepoint, chokepoint
from tests.support.demo_stripe import WEBHOOK_SECRET
from tests.support.eventually import eventually
from tests.support.forks import Forked, Forks

type Step = tuple[str, tuple[bytes, ...]]
"""A server, and what is said to it one after the other: killed once it has done the last, and nobody has heard."""


@dataclass(frozen=True)
class Doomed:
    """A billing whose every byte to a server passes a point where it can be killed."""

    settings: BillingSettings
    points: dict[str, Chokepoint]
    forks: Forks
    output: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.billing_port}"

    @asynccontextmanager
    async def running(self, http: httpx.AsyncClient) -> AsyncIterator[Forked]:
        environment = environment_of(self.settings)
        process = self.forks.start("billing", environment=environment, out=self.output, err=self.output)
        try:

            async def ready() -> bool:
                if process.code() is not None:
                    raise RuntimeError(self.output.read_text()[-2_000:])
                try:
                    return (await http.get(f"{self.url}/health/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(ready, 60.0, message="billing is ready")
            yield process
        finally:
            process.send(signal.SIGKILL)
            await process.ended()

    async def killed_at[Result](
        self, step: Step, http: httpx.AsyncClient, act: Callable[[], Awaitable[Result]]
    ) -> Result:
        """Have a billing killed at that step of what `act` begins; what that came to."""
        server, said = step
        point = self.points[server]
        async with self.running(http) as process:
            point.arm(*said, act=lambda: process.send(signal.SIGKILL))
            result = await act()
            try:
                code = await process.ended()
            except AssertionError:
                raise AssertionError(f"never came to {step}: {self.output.read_text()[-3_000:]}") from None
            assert (code, point.reached.is_set()) == (-signal.SIGKILL, True), step
        return result


async def deliver(http: httpx.AsyncClient, url: str, event: dict[str, Any]) -> bool:
    """Tell the billing there of one of Stripe's events; whether it was taken."""
    payload = json.dumps(event)
    header = stripe.WebhookSignature.generate_signature_header(payload, WEBHOOK_SECRET, int(time.time()))
    try:
        answer = await http.post(
            f"{url}/billing/webhook/stripe", content=payload, headers={"stripe-signature": header}, timeout=20
        )
    except httpx.TransportError:
        return False
    return answer.status_code == 200


async def events_of(stage: BillingStage, kind: str) -> list[dict[str, Any]]:
    """Stripe's latest events of that type, the oldest first."""
    listed = await stage.stripe.client.v1.events.list_async({"type": kind, "limit": 100})
    found = [json.loads(json.dumps(each.to_dict(), default=str)) for each in listed.data]
    return found[::-1]


@asynccontextmanager
async def doomed_beside_stage(
    database_url: str,
    nats_url: str,
    forks: Forks,
    output: Path,
    **more: Any,  # settings, as `settings_for` takes them
) -> AsyncIterator[tuple[BillingStage, Doomed]]:
    """A stage on which nobody hears of Stripe by itself, and a billing that is to be killed."""
    async with empty_stage(database_url, nats_url, **more) as stage, AsyncExitStack() as stack:
        settings = settings_for(database_url, nats_url, stage.stripe.url, **more)
        urls = {"postgres": settings.database_url, "nats": settings.nats_url, "stripe": settings.stripe_api_base or ""}
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
            }
        )
        await stage.stripe.deliveries("drop")
        yield stage, Doomed(changed, points, forks, output)


async def let_all_be_due(stage: BillingStage) -> None:
    """What the dead had taken is free again, as after their leases."""
    await stage.rows("UPDATE billing.webhook_events SET due_at = now() WHERE status = 'waiting' RETURNING id")
    for table in ("subscriptions", "top_ups"):
        await stage.rows(f"UPDATE billing.{table} SET look_due_at = now() WHERE look_due_at IS NOT NULL")
