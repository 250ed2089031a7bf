"""Payments and what was taken back of them, as Stripe has them now."""

import asyncio

import stripe
from msgspec import Struct

from billing.domain.clues import ORDER_KEY
from billing.domain.facts import DisputeFacts, FraudWarningFacts, PaymentFacts, RefundFacts
from billing.stripe_api.client import PAGE, StripeApi
from billing.stripe_api.wire import Charge, Dispute, FraudWarning, PaymentIntent, Refund, id_of


class TakenBackFacts(Struct, frozen=True, kw_only=True):
    """All refunds, disputes and warnings there are of one payment."""

    refunds: tuple[RefundFacts, ...]
    disputes: tuple[DisputeFacts, ...]
    fraud_warnings: tuple[FraudWarningFacts, ...]

    @property
    def ids(self) -> set[str]:
        found = {each.id for each in self.refunds} | {each.id for each in self.disputes}
        return found | {each.id for each in self.fraud_warnings}


async def fetch_payment(api: StripeApi, payment_intent_id: str) -> PaymentFacts:
    """The payment with its charge; raises StripeError."""
    request = api.v1.payment_intents.retrieve_async(payment_intent_id, {"expand": ["latest_charge"]})
    return (await api.call(request, PaymentIntent)).facts()


async def fetch_charge_owner(api: StripeApi, charge_id: str) -> str | None:
    """The payment that a charge is an attempt of; raises StripeError."""
    return id_of((await api.call(api.v1.charges.retrieve_async(charge_id), Charge)).payment_intent)


async def fetch_taken_back(api: StripeApi, payment_intent_id: str) -> TakenBackFacts:
    """Every page of each of the three lists, side by side; raises StripeError."""
    of_payment: stripe.params.RefundListParams = {"payment_intent": payment_intent_id, "limit": PAGE}
    refunds, disputes, warnings = await asyncio.gather(
        api.call_list(api.v1.refunds.list_async(of_payment), Refund),
        api.call_list(api.v1.disputes.list_async({"payment_intent": payment_intent_id, "limit": PAGE}), Dispute),
        api.call_list(
            api.v1.radar.early_fraud_warnings.list_async({"payment_intent": payment_intent_id, "limit": PAGE}),
            FraudWarning,
        ),
    )
    return TakenBackFacts(
        refunds=tuple(each.facts() for each in refunds),
        disputes=tuple(each.facts() for each in disputes),
        fraud_warnings=tuple(each.facts() for each in warnings),
    )


async def create_refund(
    api: StripeApi, *, order_id: str, payment_intent_id: str, amount_minor: int, idempotency_key: str
) -> RefundFacts:
    """Give back a part of a payment, once a key; what it does to the order is looked at after. Raises StripeError."""
    request = api.v1.refunds.create_async(
        {"payment_intent": payment_intent_id, "amount": amount_minor, "metadata": {ORDER_KEY: order_id}},
        {"idempotency_key": idempotency_key},
    )
    return (await api.call(request, Refund)).facts()
