"""Stripe is not asked again for what is known of it already."""

from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import UTC, datetime, timedelta

import pytest_asyncio
import stripe
from billing.application.portal import Portal
from billing.stripe_api.checkout import CheckoutRequest, create_checkout
from billing.stripe_api.client import StripeApi
from billing.stripe_api.customers import create_customer
from chassis.postgres import create_engine, disposed
from msgspec import Struct

from tests.support.demo_stripe import API_KEY, StripeStage, start_demo_stripe


class CountingApi(StripeApi):
    """Counts what Stripe is asked."""

    calls = 0

    async def call[Wire: Struct](self, request: Awaitable[stripe.StripeObject], wire: type[Wire]) -> Wire:
        self.calls += 1
        return await super().call(request, wire)

    async def call_list[Wire: Struct, Listed: stripe.StripeObject](
        self, request: Awaitable[stripe.ListObject[Listed]], wire: type[Wire]
    ) -> Sequence[Wire]:
        self.calls += 1
        return await super().call_list(request, wire)


@pytest_asyncio.fixture
async def demo() -> AsyncIterator[StripeStage]:
    async with start_demo_stripe() as demo:
        yield demo


@pytest_asyncio.fixture
async def api(demo: StripeStage) -> AsyncIterator[CountingApi]:
    async with CountingApi(API_KEY, base=demo.url, seconds=10) as api:
        yield api


def _wanted(number: int, customer_id: str) -> CheckoutRequest:
    return CheckoutRequest(
        order_id=f"ord_{number}",
        account_id="vera",
        customer_id=customer_id,
        plan="new",
        name="New",
        amount_minor=990,
        currency="brl",
        stripe_price=None,
        locale="en",
        order_url="http://127.0.0.1:1/",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
        idempotency_key=f"of-vera-{number}",
    )


async def test_only_the_first_checkout_of_a_plan_makes_its_product(api: CountingApi) -> None:
    customer_id = await create_customer(api, "vera", locale="en", idempotency_key="vera")
    first = _wanted(1, customer_id)
    session = await create_checkout(api, first)
    assert api.calls == 1 + 3, "refused, the product, shown"
    assert (await create_checkout(api, first)).id == session.id, "the same order is the same Checkout"
    api.calls = 0
    assert (await create_checkout(api, _wanted(2, customer_id))).status == "open"
    assert api.calls == 1


async def test_the_settings_of_the_portal_are_looked_for_once(demo: StripeStage, api: CountingApi) -> None:
    engine = create_engine("postgresql://nobody@127.0.0.1:1/nowhere", service="billing")
    async with disposed(engine):
        portal = Portal(engine=engine, stripe=api, livemode=False, home="http://127.0.0.1:1/")
        customer_id = await create_customer(api, "vera", locale="en", idempotency_key="vera")
        first = await _settings_of_portal(demo)
        counted = []
        for turn in range(3):
            if turn == 2:
                await _settings_of_portal(demo)
                await demo.client.v1.billing_portal.configurations.update_async(first, {"active": False})
            api.calls = 0
            assert await portal.open_of_customer(customer_id, "http://127.0.0.1:1/", "en")
            counted.append(api.calls)
    assert counted == [2, 1, 3], "found and opened; opened; refused, found anew and opened"


async def _settings_of_portal(demo: StripeStage) -> str:
    made = await demo.client.v1.billing_portal.configurations.create_async(
        {"features": {"invoice_history": {"enabled": True}}, "metadata": {"made_by": "solaris"}}
    )
    return made.id
