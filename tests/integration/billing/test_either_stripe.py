"""What billing relies on of Stripe: asked of the demo always, and of Stripe's test mode where there is a key.

Whatever holds here for one and not for the other is a mistake of the demo's. Nothing needs a browser or a webhook; all
objects are of their own customers, so a test account may be used at will.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
import stripe
from billing.domain.facts import PaymentStatus, SessionStatus
from billing.domain.plan_prices import PlanPrices
from billing.stripe_api.checkout import CheckoutRequest, create_checkout, expire_checkout, fetch_checkout
from billing.stripe_api.client import StripeApi
from billing.stripe_api.customers import create_customer
from billing.stripe_api.errors import CardProblemError, StripeConflictError, StripeMissingError, StripeRefusedError
from billing.stripe_api.past import past_events
from billing.stripe_api.payments import create_refund, fetch_payment, fetch_taken_back
from billing.stripe_api.subscriptions import cancel_subscription, create_portal, fetch_subscription, void_invoice
from billing.stripe_api.top_ups import OffSessionPayment, charge_card, create_card_page, find_payment, newest_card
from local_run.demo_stripe.wire.shapes import problems_of

from tests.support.either_stripe import EITHER, either_stripe
from tests.support.eventually import eventually

PRICES = PlanPrices(by_price={}, by_product={})
PLACE = "http://127.0.0.1:8002/buy/order/x"


@pytest_asyncio.fixture(params=EITHER)
async def api(request: pytest.FixtureRequest) -> AsyncIterator[StripeApi]:
    async with either_stripe(request.param) as connected:
        yield connected


@pytest_asyncio.fixture
async def customer(api: StripeApi) -> str:
    return await create_customer(api, "ana", locale="pt-BR", idempotency_key=uuid4().hex)


def checkout(customer_id: str, **more: Any) -> CheckoutRequest:
    order_id = f"test-{uuid4().hex}"
    values: dict[str, Any] = {
        "order_id": order_id,
        "account_id": "ana",
        "customer_id": customer_id,
        "plan": None,
        "name": "500 mil tokens",
        "amount_minor": 7_490,
        "currency": "brl",
        "stripe_price": None,
        "locale": "pt-BR",
        "order_url": PLACE,
        "expires_at": datetime.now(UTC) + timedelta(hours=1),
        "idempotency_key": order_id,
        **more,
    }
    return CheckoutRequest(**values)


async def off_session(api: StripeApi, customer_id: str, card: str) -> OffSessionPayment:
    """A payment by one of Stripe's test cards, saved for the customer."""
    saved = await api.v1.payment_methods.attach_async(card, {"customer": customer_id})
    order_id = f"test-{uuid4().hex}"
    return OffSessionPayment(
        order_id=order_id,
        account_id="ana",
        customer_id=customer_id,
        card_id=saved.id,
        amount_minor=7_490,
        currency="brl",
        description="500 mil tokens",
        idempotency_key=order_id,
    )


async def test_a_key_makes_one_customer_and_nothing_else(api: StripeApi) -> None:
    key = uuid4().hex
    first = await create_customer(api, "ana", locale="pt-BR", idempotency_key=key)
    assert await create_customer(api, "ana", locale="pt-BR", idempotency_key=key) == first
    with pytest.raises(StripeConflictError):
        await create_customer(api, "bruno", locale="pt-BR", idempotency_key=key)


async def test_a_checkout_is_what_was_asked_for_and_ends_when_told(api: StripeApi, customer: str) -> None:
    wanted = checkout(customer)
    made = await create_checkout(api, wanted)
    assert (made.status, made.is_paid, made.order_id) == (SessionStatus.OPEN, False, wanted.order_id)
    assert (made.subtotal_minor, made.total_minor, made.currency, made.livemode) == (7_490, 7_490, "brl", False)
    assert (await create_checkout(api, wanted)).id == made.id
    await expire_checkout(api, made.id)
    ended, payment = await fetch_checkout(api, made.id)
    assert (ended.status, payment) == (SessionStatus.EXPIRED, None)
    with pytest.raises(StripeRefusedError):
        await expire_checkout(api, made.id)


async def test_a_checkout_for_nobody_is_refused_by_name(api: StripeApi) -> None:
    with pytest.raises(StripeMissingError) as raised:
        await create_checkout(api, checkout("cus_nobody"))
    assert raised.value.parameter == "customer"


async def test_parameters_of_before_are_refused(api: StripeApi, customer: str) -> None:
    old: Any = {"mode": "payment", "customer": customer, "success_url": PLACE, "payment_method_types": ["card"]}
    with pytest.raises(stripe.InvalidRequestError):
        await api.v1.checkout.sessions.create_async(old)
    unknown: Any = {"nonsense": "1"}
    with pytest.raises(stripe.InvalidRequestError) as raised:
        await api.v1.customers.create_async(unknown)
    assert (raised.value.code, raised.value.param) == ("parameter_unknown", "nonsense")


async def test_a_saved_card_is_charged_once_a_key_and_found_by_its_order(api: StripeApi, customer: str) -> None:
    started = datetime.now(UTC) - timedelta(minutes=5)
    wanted = await off_session(api, customer, "pm_card_visa")
    assert await newest_card(api, customer) == wanted.card_id
    paid = await charge_card(api, wanted)
    assert (paid.status, paid.received_minor, paid.order_id) == (PaymentStatus.SUCCEEDED, 7_490, wanted.order_id)
    assert (await charge_card(api, wanted)).id == paid.id
    assert await find_payment(api, customer, wanted.order_id, since=started) == paid.id
    told = [event.type async for page in past_events(api, started) for event in page]
    assert {"payment_intent.succeeded", "charge.succeeded"} <= set(told)


@pytest.mark.parametrize(
    ("card", "code"),
    [("pm_card_chargeCustomerFail", "card_declined"), ("pm_card_authenticationRequired", "authentication_required")],
)
async def test_a_card_that_fails_says_why_and_names_its_payment(
    api: StripeApi, customer: str, card: str, code: str
) -> None:
    with pytest.raises(CardProblemError) as raised:
        await charge_card(api, await off_session(api, customer, card))
    assert raised.value.code == code
    assert raised.value.payment_intent_id is not None
    payment = await fetch_payment(api, raised.value.payment_intent_id)
    assert (payment.status, payment.has_failed, payment.received_minor) == (PaymentStatus.OWED, True, 0)


async def test_refunds_go_up_to_what_was_paid_and_no_further(api: StripeApi, customer: str) -> None:
    paid = await charge_card(api, await off_session(api, customer, "pm_card_visa"))
    for number, amount in enumerate((1, 489, 7_000)):
        of: Any = {"order_id": "x", "payment_intent_id": paid.id, "amount_minor": amount}
        first = await create_refund(api, **of, idempotency_key=f"{paid.id}-{number}")
        assert (await create_refund(api, **of, idempotency_key=f"{paid.id}-{number}")).id == first.id
    with pytest.raises(StripeRefusedError) as raised:
        await create_refund(
            api, order_id="x", payment_intent_id=paid.id, amount_minor=1, idempotency_key=f"{paid.id}-more"
        )
    assert raised.value.code == "charge_already_refunded"
    taken_back = await fetch_taken_back(api, paid.id)
    assert sorted(each.amount_minor for each in taken_back.refunds) == [1, 489, 7_000]


async def test_a_dispute_is_found_with_its_payment_and_withdraws_its_amount(api: StripeApi, customer: str) -> None:
    paid = await charge_card(api, await off_session(api, customer, "pm_card_createDispute"))

    async def disputed() -> bool:
        found = (await fetch_taken_back(api, paid.id)).disputes
        return [(each.amount_minor, each.is_withdrawn) for each in found] == [(7_490, True)]

    await eventually(disputed, 60, message="the bank disputes it")


async def test_a_subscription_is_paid_found_and_ended(api: StripeApi, customer: str) -> None:
    saved = await api.v1.payment_methods.attach_async("pm_card_visa", {"customer": customer})
    price = await api.v1.prices.create_async(
        {
            "currency": "brl",
            "unit_amount": 12_900,
            "recurring": {"interval": "month"},
            "product_data": {"name": f"test {uuid4().hex}"},
        }
    )
    begun = await api.v1.subscriptions.create_async(
        {"customer": customer, "items": [{"price": price.id}], "default_payment_method": saved.id}
    )
    facts = await fetch_subscription(api, begun.id, PRICES)
    (invoice,) = facts.invoices
    assert (facts.status, facts.customer_id, invoice.status) == ("active", customer, "paid")
    with pytest.raises(stripe.InvalidRequestError, match="already paid"):
        await api.v1.invoices.pay_async(invoice.invoice_id)
    await void_invoice(api, invoice.invoice_id)  # a paid one stays as it is
    await cancel_subscription(api, begun.id)
    await cancel_subscription(api, begun.id)
    assert (await fetch_subscription(api, begun.id, PRICES)).status == "canceled"


async def test_the_pages_of_stripe_s_that_people_are_sent_to_have_addresses(api: StripeApi, customer: str) -> None:
    assert (await create_card_page(api, customer, return_url=PLACE, locale="pt-BR")).startswith("http")
    configuration = await api.v1.billing_portal.configurations.create_async(
        {"features": {"invoice_history": {"enabled": True}, "subscription_cancel": {"enabled": True}}}
    )
    portal = await create_portal(api, customer, return_url=PLACE, locale="en", configuration=configuration.id)
    assert portal.startswith("http")


async def test_objects_are_of_the_shapes_that_the_sdk_names(api: StripeApi, customer: str) -> None:
    """Held against Stripe itself, this holds the check by which the demo's own objects are made."""
    paid = await charge_card(api, await off_session(api, customer, "pm_card_visa"))
    session = await create_checkout(api, checkout(customer))
    found: list[Any] = [
        await api.v1.customers.retrieve_async(customer),
        await api.v1.payment_intents.retrieve_async(paid.id, {"expand": ["latest_charge"]}),
        await api.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["line_items"]}),
        await api.v1.events.list_async({"limit": 3}),
        await api.v1.accounts.retrieve_current_async(),
    ]
    assert [problem for each in found for problem in problems_of(each.last_response.data)] == []
