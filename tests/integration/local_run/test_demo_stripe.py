"""The demo Stripe as the official SDK sees it: payments, refunds, disputes, events, keys, deliveries."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import stripe
from chassis.server import serve
from local_run.demo_stripe.wire.shapes import problems_of
from local_run.ports import any_free
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.demo_stripe import WEBHOOK_SECRET, StripeStage, start_demo_stripe
from tests.support.eventually import eventually


class Hook:
    """A shop's webhook: what came, by the SDK's own check of signatures; it answers `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.events: list[stripe.Event] = []

    async def take(self, request: Request) -> Response:
        body = await request.body()
        event = stripe.Webhook.construct_event(body, request.headers["stripe-signature"], WEBHOOK_SECRET)
        self.events.append(event)
        return Response(status_code=self.status)

    def types(self) -> list[str]:
        return [event.type for event in self.events]

    async def has(self, *types: str) -> None:
        await eventually(lambda: set(types) <= set(self.types()), message=f"{types} were delivered")


@pytest_asyncio.fixture
async def hook() -> AsyncIterator[Hook]:
    yield Hook()


@pytest_asyncio.fixture
async def stage(hook: Hook) -> AsyncIterator[StripeStage]:
    port = any_free()
    app = Starlette(routes=[Route("/hook", hook.take, methods=["POST"])])
    async with (
        serve(app, "127.0.0.1", port),
        start_demo_stripe(webhook_url=f"http://127.0.0.1:{port}/hook") as running,
    ):
        yield running
        wrong = [
            problem for kind in STRIPES for each in running.demo.world.all_of(kind) for problem in problems_of(each)
        ]
        assert wrong == []


STRIPES = ("customer", "checkout.session", "payment_intent", "charge", "refund", "dispute", "event", "invoice")


def order(number: int = 1, **more: Any) -> Any:  # Any: also what the SDK's types forbid
    price = {"currency": "brl", "unit_amount": 7_490, "product_data": {"name": "500 mil tokens"}}
    return {
        "mode": "payment",
        "line_items": [{"price_data": price, "quantity": 1}],
        "client_reference_id": f"order-{number}",
        "metadata": {"order": f"order-{number}"},
        "payment_intent_data": {"metadata": {"order": f"order-{number}"}},
        "success_url": "http://127.0.0.1/done?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1/buy",
        **more,
    }


async def test_a_session_is_paid_by_card_and_everybody_hears_of_it(stage: StripeStage, hook: Hook) -> None:
    customer = await stage.client.v1.customers.create_async(
        {"email": "ana@example.com", "metadata": {"account": "ana"}}
    )
    session = await stage.client.v1.checkout.sessions.create_async(
        order(customer=customer.id, invoice_creation={"enabled": True}, expand=["line_items"])
    )
    assert session.line_items is not None
    assert [(each.amount_total, each.description) for each in session.line_items.data] == [(7_490, "500 mil tokens")]
    assert session.url is not None
    paid = await stage.pay(session.url)
    assert paid["redirect_url"] == f"http://127.0.0.1/done?session={session.id}"
    found = await stage.client.v1.checkout.sessions.retrieve_async(
        session.id, {"expand": ["payment_intent.latest_charge", "invoice"]}
    )
    assert (found.status, found.payment_status, found.amount_total) == ("complete", "paid", 7_490)
    intent = found.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert (intent.metadata["order"], intent.latest_charge.metadata["order"]) == ("order-1", "order-1")
    assert isinstance(found.invoice, stripe.Invoice)
    assert (found.invoice.status, found.invoice.amount_paid) == ("paid", 7_490)
    await hook.has("charge.succeeded", "payment_intent.succeeded", "invoice.paid", "checkout.session.completed")


async def test_a_declined_card_leaves_the_session_open(stage: StripeStage, hook: Hook) -> None:
    session = await stage.client.v1.checkout.sessions.create_async(order())
    declined = await stage.pay(str(session.url), outcome="declined")
    assert (declined["status"], declined["payment_status"]) == ("open", "unpaid")
    await hook.has("payment_intent.payment_failed", "charge.failed")
    paid = await stage.pay(str(session.url))
    assert paid["payment_intent"] == declined["payment_intent"]
    intent = await stage.client.v1.payment_intents.retrieve_async(paid["payment_intent"])
    assert (intent.status, intent.amount_received) == ("succeeded", 7_490)


@pytest.mark.parametrize("method", ["pix", "boleto"])
async def test_what_is_paid_later_is_complete_before_it_is_paid(stage: StripeStage, hook: Hook, method: str) -> None:
    session = await stage.client.v1.checkout.sessions.create_async(order())
    later = await stage.pay(str(session.url), method, "later")
    assert (later["status"], later["payment_status"]) == ("complete", "unpaid")
    await stage.complete_payment(later["payment_intent"])
    found = await stage.client.v1.checkout.sessions.retrieve_async(session.id)
    assert found.payment_status == "paid"
    await hook.has("checkout.session.completed", "checkout.session.async_payment_succeeded")


async def test_what_is_never_paid_lapses_with_time(stage: StripeStage, hook: Hook) -> None:
    sessions = [await stage.client.v1.checkout.sessions.create_async(order(number)) for number in range(2)]
    await stage.pay(str(sessions[0].url), "boleto", "later")
    await stage.advance(4 * 86_400)
    await hook.has("checkout.session.async_payment_failed", "payment_intent.payment_failed", "checkout.session.expired")
    states = [(await stage.client.v1.checkout.sessions.retrieve_async(each.id)).status for each in sessions]
    assert states == ["complete", "expired"]


async def test_refunds_count_up_to_what_was_paid_and_no_further(stage: StripeStage, hook: Hook) -> None:
    intent = await _paid(stage)
    refunds = stage.client.v1.refunds
    first = await refunds.create_async({"payment_intent": intent, "amount": 1})
    assert first.status == "succeeded"
    await stage.refunds("pending")
    second = await refunds.create_async({"payment_intent": intent, "amount": 489})
    assert second.status == "pending"
    await stage.complete_refund(second.id, "failed")
    charge = await stage.client.v1.charges.retrieve_async(str(first.charge), {"expand": ["refunds"]})
    assert charge.refunds is not None
    assert (charge.amount_refunded, [each.status for each in charge.refunds.data]) == (1, ["failed", "succeeded"])
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        await refunds.create_async({"payment_intent": intent, "amount": 7_490})
    await refunds.create_async({"payment_intent": intent})
    with pytest.raises(stripe.InvalidRequestError) as raised:
        await refunds.create_async({"payment_intent": intent})
    assert raised.value.code == "charge_already_refunded"
    await hook.has("refund.created", "refund.updated", "refund.failed", "charge.refunded", "charge.refund.updated")


async def test_a_boleto_is_neither_refunded_nor_disputed(stage: StripeStage) -> None:
    intent = await _paid(stage, "boleto")
    with pytest.raises(stripe.InvalidRequestError, match="cannot be refunded"):
        await stage.client.v1.refunds.create_async({"payment_intent": intent})
    answer = await stage.http.post(f"{stage.url}/demo/disputes", json={"payment_intent": intent})
    assert answer.status_code == 400


async def test_a_dispute_takes_the_money_and_a_won_one_gives_it_back(stage: StripeStage, hook: Hook) -> None:
    intent = await _paid(stage)
    warned = await stage.dispute(intent, "warning_needs_response")
    assert "charge.dispute.funds_withdrawn" not in hook.types()
    await stage.move_dispute(warned["id"], "needs_response")
    await hook.has("charge.dispute.created", "charge.dispute.funds_withdrawn")
    with pytest.raises(stripe.InvalidRequestError, match="charged back"):
        await stage.client.v1.refunds.create_async({"payment_intent": intent})
    await stage.move_dispute(warned["id"], "won")
    found = await stage.client.v1.disputes.retrieve_async(warned["id"])
    assert sum(each.amount for each in found.balance_transactions) == 0
    await hook.has("charge.dispute.closed", "charge.dispute.funds_reinstated")


async def test_a_key_answers_once_and_for_the_same_request_alone(stage: StripeStage) -> None:
    create = stage.client.v1.checkout.sessions.create_async
    first = await create(order(), {"idempotency_key": "order-1"})
    again = await create(order(), {"idempotency_key": "order-1"})
    assert again.id == first.id
    assert again.last_response is not None
    assert again.last_response.headers["idempotent-replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        await create(order(2), {"idempotency_key": "order-1"})
    assert (await stage.client.v1.checkout.sessions.list_async()).data[0].id == first.id


async def test_a_key_that_is_in_use_is_a_conflict(stage: StripeStage) -> None:
    await stage.faults("slow", seconds=0.5, only="POST")
    create = stage.client.v1.checkout.sessions.create_async
    answers = await asyncio.gather(
        *(create(order(), {"idempotency_key": "order-1"}) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in answers) == ["APIError", "Session"]


@pytest.mark.parametrize(
    ("parameters", "code", "param"),
    [
        (order(payment_method_types=["card"]), "parameter_unknown", "payment_method_types"),
        (
            order(line_items=[{"price_data": {"unit_amount": 1}}]),
            "parameter_missing",
            "line_items[0][price_data][currency]",
        ),
        (order(expires_at="soon"), "parameter_invalid_integer", "expires_at"),
        (order(customer="cus_nobody"), "resource_missing", "customer"),
        (order(shipping_options=[{"shipping_rate": "x"}]), "demo_not_done", "shipping_options"),
    ],
)
async def test_what_the_sdk_does_not_know_is_refused(
    stage: StripeStage, parameters: Any, code: str, param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as raised:
        await stage.client.v1.checkout.sessions.create_async(parameters)
    assert (raised.value.code, raised.value.param, raised.value.http_status) == (code, param, 400)


async def test_lists_are_paged_from_the_newest_to_the_oldest(stage: StripeStage) -> None:
    for number in range(5):
        await stage.client.v1.checkout.sessions.create_async(order(number))
    page = await stage.client.v1.checkout.sessions.list_async({"limit": 2})
    assert (len(page.data), page.has_more) == (2, True)
    found = [each.client_reference_id async for each in page.auto_paging_iter()]
    assert found == [f"order-{number}" for number in reversed(range(5))]


async def test_deliveries_are_dropped_repeated_reordered_and_tried_again(stage: StripeStage, hook: Hook) -> None:
    await stage.deliveries("drop")
    await stage.client.v1.customers.create_async({"email": "dropped@example.com"})
    events = await stage.client.v1.events.list_async({"type": "customer.created"})
    assert len(events.data) == 1
    await stage.deliveries("repeat")
    await stage.client.v1.customers.create_async({"email": "repeated@example.com"})
    await eventually(lambda: len(hook.events) == 3, message="one event came three times")
    assert len({event.id for event in hook.events}) == 1
    await stage.deliveries("reorder")
    hook.events.clear()
    made = [(await stage.client.v1.customers.create_async({"email": f"{n}@example.com"})).id for n in range(3)]
    await eventually(lambda: len(hook.events) == 3)
    assert [event.data.object["id"] for event in hook.events] == made[::-1]
    await stage.deliveries("normal")
    hook.events.clear()
    hook.status = 500
    await stage.client.v1.customers.create_async({"email": "later@example.com"})
    await eventually(lambda: len(hook.events) >= 2, message="it was tried again")
    hook.status = 200
    await eventually(lambda: _last_delivery(stage) == "delivered")


async def test_delayed_deliveries_wait_and_go_out_when_told(stage: StripeStage, hook: Hook) -> None:
    await stage.deliveries("delay", seconds=600)
    await stage.client.v1.customers.create_async({"email": "ana@example.com"})
    await stage.client.v1.events.list_async()
    assert hook.events == []
    await stage.deliveries("normal")
    await hook.has("customer.created")


def _last_delivery(stage: StripeStage) -> str:
    return str(next(stage.demo.world.all_of("demo.delivery"))["state"])


async def _paid(stage: StripeStage, method: str = "card") -> str:
    session = await stage.client.v1.checkout.sessions.create_async(order())
    return str((await stage.pay(str(session.url), method))["payment_intent"])
