"""A demo Stripe in the tests' own process: paid as by a person, steered, and asked as by a program."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import stripe
from local_run.demo_stripe.server import DemoStripe, run_demo_stripe
from local_run.ports import any_free

API_KEY: Final = "sk_test_demo"
WEBHOOK_SECRET: Final = "whsec_of_the_tests_0123456789"


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeStage:
    """`client` is the official SDK without retries; the other calls do what a person or the demo's steering does."""

    demo: DemoStripe
    client: stripe.StripeClient
    http: httpx.AsyncClient

    @property
    def url(self) -> str:
        return self.demo.url

    async def pay(self, checkout_url: str, method: str = "card", outcome: str = "paid", **more: str) -> dict[str, Any]:
        """What a button of the session's page does; `{"status", "payment_status", "payment_intent", …}`."""
        return await self._post(f"{checkout_url}/pay", method=method, outcome=outcome, **more)

    async def complete_payment(self, payment_intent: str, outcome: str = "paid") -> dict[str, Any]:
        """What was to be paid later is paid, or `failed`."""
        return await self._post(f"{self.url}/demo/payments/{payment_intent}/complete", outcome=outcome)

    async def complete_refund(self, refund: str, outcome: str = "succeeded") -> dict[str, Any]:
        return await self._post(f"{self.url}/demo/refunds/{refund}/complete", outcome=outcome)

    async def dispute(self, payment_intent: str, status: str = "needs_response", **more: Any) -> dict[str, Any]:
        return await self._post(f"{self.url}/demo/disputes", payment_intent=payment_intent, status=status, **more)

    async def move_dispute(self, dispute: str, status: str) -> dict[str, Any]:
        return await self._post(f"{self.url}/demo/disputes/{dispute}", status=status)

    async def warn_of_fraud(self, payment_intent: str) -> dict[str, Any]:
        return await self._post(f"{self.url}/demo/fraud_warnings", payment_intent=payment_intent)

    async def advance(self, seconds: int) -> dict[str, Any]:
        """Move the demo's clock, and let all happen that is due by then."""
        return await self._post(f"{self.url}/demo/clock", advance_seconds=seconds)

    async def cards(self, following: str, times: int = 1) -> dict[str, Any]:
        """How the next cards end: `ok`, `declined`, `authentication_required`."""
        return await self._post(f"{self.url}/demo/cards", next=following, times=times)

    async def refunds(self, following: str, times: int = 1) -> dict[str, Any]:
        """How the next refunds end: `succeeded`, `pending`, `failed`."""
        return await self._post(f"{self.url}/demo/refunds", next=following, times=times)

    async def deliveries(self, mode: str, **more: Any) -> dict[str, Any]:
        """`normal`, `drop`, `repeat`, `delay` (with `seconds`), `reorder`."""
        return await self._post(f"{self.url}/demo/deliveries", mode=mode, **more)

    async def faults(self, mode: str, **more: Any) -> dict[str, Any]:
        """`none`, `slow` (with `seconds`), `down`, `lost`; with `times` and `only` (a method)."""
        return await self._post(f"{self.url}/demo/faults", mode=mode, **more)

    async def send_again(self, event: str) -> dict[str, Any]:
        return await self._post(f"{self.url}/demo/events/{event}/send")

    async def on_portal(self, portal_url: str, subscription: str, **told: str) -> dict[str, Any]:
        """What a button of the portal does: `do="cancel"`, `do="resume"`, `change=<price>`."""
        return await self._post(portal_url, subscription=subscription, **told)

    async def state(self) -> dict[str, Any]:
        """What `GET /demo` shows: the last sessions, events with their deliveries, counts."""
        found: dict[str, Any] = (await self.http.get(f"{self.url}/demo")).json()
        return found

    async def _post(self, url: str, **told: Any) -> dict[str, Any]:
        answer = await self.http.post(url, json=told)
        assert answer.status_code == 200, f"{url}: {answer.status_code} {answer.text}"
        found: dict[str, Any] = answer.json()
        return found


@contextlib.asynccontextmanager
async def start_demo_stripe(
    *,
    webhook_url: str | None = None,
    webhook_secret: str = WEBHOOK_SECRET,
    port: int | None = None,
    path: Path | None = None,
) -> AsyncIterator[StripeStage]:
    """One for the block, on a free port; all events go to `webhook_url`, where one is given."""
    running = run_demo_stripe(
        port=port or any_free(), api_key=API_KEY, webhook_url=webhook_url, webhook_secret=webhook_secret, path=path
    )
    async with running as demo, httpx.AsyncClient(timeout=20, trust_env=False) as http:
        client = stripe.StripeClient(
            API_KEY, base_addresses={"api": demo.url}, http_client=stripe.HTTPXClient(timeout=20), max_network_retries=0
        )
        yield StripeStage(demo=demo, client=client, http=http)
