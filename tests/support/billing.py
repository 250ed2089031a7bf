"""A billing in the tests' own process, with a demo Stripe that it sells through and a stream that it speaks to."""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import asyncpg
import httpx
import nats
import stripe
from billing.main import assemble
from billing.settings import BillingSettings
from chassis.provisioning import provision
from chassis.service import run_until
from contracts import topology
from contracts.accounts import subject_token
from contracts.purchase_links import sign_purchase_link
from local_run.ports import any_free
from pydantic import SecretStr

from tests.support.demo_stripe import API_KEY, WEBHOOK_SECRET, StripeStage, start_demo_stripe
from tests.support.eventually import eventually
from tests.support.infrastructure import core_nats
from tests.support.ledger_operate import Operate, Ran, operate_on

SERVICE_KEY: Final = "sk-service-of-the-tests"
LINK_KEY: Final = "link-key-of-the-tests-0123456789"
CATALOG: Final = Path(__file__).parents[2] / "deploy" / "catalog.toml"


@dataclass(frozen=True, kw_only=True)
class Books:
    """What whoever keeps accounts by the stream has: each event once, by its business key."""

    granted: int = 0
    revoked: int = 0
    purchases: int = 0
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BillingStage:
    """A billing and what is beside it."""

    settings: BillingSettings
    stripe: StripeStage
    http: httpx.AsyncClient

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.billing_port}"

    async def ask(self, body: Mapping[str, Any], **headers: str) -> httpx.Response:
        """`POST /billing/purchase-credits` as it is told."""
        return await self.http.post(f"{self.url}/billing/purchase-credits", json=body, headers=headers)

    async def buy(self, account_id: str, package_id: str = "small", **more: Any) -> dict[str, Any]:
        """A purchase that a service begins; the answer."""
        body = {"package_id": package_id, "account_id": account_id, **more}
        answer = await self.ask(body, authorization=f"Bearer {SERVICE_KEY}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def buy_by_link(self, account_id: str, package_id: str = "small") -> dict[str, Any]:
        """A purchase that whoever has a purchase link begins; the answer."""
        answer = await self.ask({"package_id": package_id, "t": link_token(account_id)})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def order(self, order_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"{self.url}/billing/orders/{order_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def row(self, order_id: str) -> dict[str, Any]:
        """The order as it stands in the table, without anybody looking at it anew."""
        found = await self.rows("SELECT * FROM billing.orders WHERE id = $1", order_id)
        return found[0]

    async def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(self.settings.database_url, timeout=10)
        try:
            return [dict(row) for row in await connection.fetch(query, *values)]
        finally:
            await connection.close()

    async def reaches(self, order_id: str, state: str, timeout_seconds: float = 20.0) -> dict[str, Any]:
        """The order's row once it is in that state."""

        async def there() -> dict[str, Any] | None:
            row = await self.row(order_id)
            return row if row["state"] == state else None

        return await eventually(there, timeout_seconds, message=f"order {state}")

    async def all_handled(self, order_id: str = "", timeout_seconds: float = 30.0) -> None:
        """No event of Stripe's waits any more, of those that name the order."""

        async def none_waits() -> bool:
            waiting = await self.rows(
                "SELECT id FROM billing.webhook_events WHERE status = 'waiting'"
                " AND position(convert_to($1, 'utf8') in payload) > 0",
                order_id,
            )
            return not waiting

        await eventually(none_waits, timeout_seconds, message="all webhooks handled")

    async def handled(self, event_ids: Sequence[str], timeout_seconds: float = 60.0) -> None:
        """These events of Stripe's wait no more: they were handled, or are about nothing of ours."""
        query = "SELECT 1 FROM billing.webhook_events WHERE id = ANY ($1) AND status IN ('handled', 'ignored')"

        async def all_are() -> bool:
            return len(await self.rows(query, list(event_ids))) == len(set(event_ids))

        await eventually(all_are, timeout_seconds, message="events handled")

    async def books(self, account_id: str) -> Books:
        """What the stream says of the account by now."""
        told = await published(self.settings.nats_url, account_id)
        once = {each["id"]: each for each in told}
        assert len(once) == len(told), "the stream has an event twice"
        sums = {"purchased": 0, "revoked": 0, "restored": 0}
        kinds = [str(each["type"]).split(".")[2] for each in told]
        keys: set[tuple[str, int]] = set()
        for kind, each in zip(kinds, told, strict=True):
            data = each["data"]
            if kind.startswith("credits_"):
                key = (data["order_id"], data.get("revision", 0))
                assert key not in keys, f"said twice: {key}"
                keys.add(key)
                sums[kind.removeprefix("credits_")] += data["tokens"]
        return Books(
            granted=sums["purchased"],
            revoked=sums["revoked"] - sums["restored"],
            purchases=kinds.count("credits_purchased"),
            kinds=tuple(kinds),
        )

    async def has_in_books(self, account_id: str, *, granted: int, revoked: int = 0) -> Books:
        """The books once they say so."""

        async def as_told() -> Books:
            books = await self.books(account_id)
            assert (books.granted, books.revoked) == (granted, revoked)
            return books

        return await eventually(as_told, 20.0, message="the books")


async def published(nats_url: str, account_id: str) -> list[dict[str, Any]]:
    """All that stands in the stream about an account, first to last."""
    client = await nats.connect(nats_url, inbox_prefix="_INBOX_operator", connect_timeout=5)
    try:
        jetstream = client.jetstream(timeout=10)
        subject = f"solaris.billing.*.{subject_token(account_id)}"
        reading = await jetstream.subscribe(subject, ordered_consumer=True)
        info = await reading.consumer_info()
        found: list[dict[str, Any]] = []
        # Some may be on their way already.
        delivered = 0 if info.delivered is None else info.delivered.consumer_seq
        for _ in range((info.num_pending or 0) + delivered):
            message = await reading.next_msg(timeout=5)
            found.append(json.loads(message.data))
        return found
    finally:
        await client.close()


async def deliver(stage: BillingStage, event: Mapping[str, Any], url: str | None = None) -> None:
    """An event as Stripe would deliver it, and as often as it is told."""
    payload = json.dumps(event)
    signature = stripe.WebhookSignature.generate_signature_header(payload, WEBHOOK_SECRET, int(time.time()))
    address = f"{url or stage.url}/billing/webhook/stripe"
    answer = await stage.http.post(address, content=payload, headers={"stripe-signature": signature})
    assert answer.status_code == 200


def link_token(account_id: str, *, lasts: timedelta = timedelta(hours=1), key: str = LINK_KEY) -> str:
    """The token of a purchase link, as a notice has it."""
    return sign_purchase_link(account_id, datetime.now(UTC) + lasts, key.encode())


def settings_for(database_url: str, nats_url: str, stripe_url: str | None, **more: Any) -> BillingSettings:
    """A billing that sells through the demo; `stripe_url` None: one that sells nothing."""
    selling = {
        "stripe_api_key": SecretStr(API_KEY),
        "stripe_webhook_secrets": SecretStr(f"whsec_of_before_0123456789, {WEBHOOK_SECRET}"),
        "stripe_api_base": stripe_url,
    }
    known: dict[str, Any] = {
        "database_url": database_url,
        "nats_url": nats_url,
        "catalog": CATALOG,
        "gateway_keys": SecretStr(SERVICE_KEY),
        "link_keys": SecretStr(LINK_KEY),
        "billing_port": any_free(),
        "shutdown_seconds": 2.0,
        **(selling if stripe_url is not None else {}),
    }
    return BillingSettings(**(known | more))


@contextlib.asynccontextmanager
async def running_billing(settings: BillingSettings) -> AsyncIterator[None]:
    """The service in this process for the block, once it answers."""
    stop = asyncio.Event()
    running = asyncio.create_task(run_until(stop, assemble(settings)))
    try:
        await _answers(settings, running)
        yield
    finally:
        stop.set()
        await running


@contextlib.asynccontextmanager
async def staged_billing(database_url: str, nats_url: str, **more: Any) -> AsyncIterator[BillingStage]:
    """A demo Stripe and a billing beside each other, and the streams that the ledger would make."""
    async with empty_stage(database_url, nats_url, **more) as stage, running_billing(stage.settings):
        yield stage


@contextlib.asynccontextmanager
async def empty_stage(database_url: str, nats_url: str, **more: Any) -> AsyncIterator[BillingStage]:
    """The same, on which no billing runs yet."""
    async with core_nats(nats_url) as client:
        await provision(client, topology.STREAMS, topology.CONSUMERS)
    port = any_free()
    webhook_url = f"http://127.0.0.1:{port}/billing/webhook/stripe"
    async with (
        start_demo_stripe(webhook_url=webhook_url) as stripe,
        httpx.AsyncClient(timeout=30, trust_env=False) as http,
    ):
        settings = settings_for(database_url, nats_url, stripe.url, billing_port=port, **more)
        yield BillingStage(settings=settings, stripe=stripe, http=http)


async def _answers(settings: BillingSettings, running: asyncio.Task[None]) -> None:
    url = f"http://127.0.0.1:{settings.billing_port}/health/ready"
    async with httpx.AsyncClient(timeout=5, trust_env=False) as http:

        async def ready() -> bool:
            if running.done():
                await running
            try:
                return (await http.get(url)).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(ready, 20.0, message="billing is ready")


def environment_of(settings: BillingSettings) -> dict[str, str]:
    """The same settings, for a process."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("SOLARIS_")},
        "SOLARIS_DATABASE_URL": settings.database_url,
        "SOLARIS_NATS_URL": settings.nats_url,
        "SOLARIS_CATALOG": str(settings.catalog),
        "SOLARIS_GATEWAY_KEYS": SERVICE_KEY,
        "SOLARIS_LINK_KEYS": LINK_KEY,
        "SOLARIS_BILLING_PORT": str(settings.billing_port),
        "SOLARIS_STRIPE_API_KEY": settings.stripe_api_key.get_secret_value(),
        "SOLARIS_STRIPE_WEBHOOK_SECRETS": settings.stripe_webhook_secrets.get_secret_value(),
        "SOLARIS_STRIPE_API_BASE": settings.stripe_api_base or "",
        "SOLARIS_SWEEP_SECONDS": str(settings.sweep_seconds),
        "SOLARIS_TOP_UP_SWEEP_SECONDS": str(settings.top_up_sweep_seconds),
    }


def operate_with_settings_of(stage: BillingStage) -> Operate:
    """Billing's verbs with the settings of the stage's service."""
    run = operate_on(stage.settings.database_url, "billing")

    async def with_settings(verb: str, **options: object) -> Ran:
        return await run(verb, environment_of(stage.settings), **options)

    return with_settings
