"""Subscriptions as Stripe has them now, and the few things that are done to one."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from stripe.params.billing_portal import SessionCreateParams

from billing.domain.clues import ORDER_KEY
from billing.domain.plan_prices import PlanPrices
from billing.domain.subscription_facts import Invoice, InvoiceStatus, SubscriptionFacts
from billing.stripe_api.client import StripeApi
from billing.stripe_api.errors import StripeMissingError, StripeRefusedError
from billing.stripe_api.payments import fetch_taken_back
from billing.stripe_api.subscription_wire import (
    InvoiceList,
    InvoiceWire,
    PortalSession,
    SubscriptionWire,
)
from billing.stripe_api.wire import Refund, moment, stripe_locale

INVOICES: Final = 12
"""A year of months: what was paid before gives nothing any more."""
TAKEN_BACK_WITHIN: Final = timedelta(days=45)
"""Of payments whose time was over before that, refunds and disputes change no plan, and are not asked for."""


async def fetch_subscription(api: StripeApi, subscription_id: str, prices: PlanPrices) -> SubscriptionFacts:
    """The subscription with its latest invoices, and what was taken back of those that still count.

    Raises:
        StripeError: see there.
    """
    # Before its invoices: a renewal that is due by its clock, which a test clock moves by days, is then among them.
    subscription = await api.call(
        api.v1.subscriptions.retrieve_async(subscription_id, {"expand": ["test_clock"]}), SubscriptionWire
    )
    now = api.clock.now()
    invoices = await api.call(
        api.v1.invoices.list_async({"subscription": subscription_id, "limit": INVOICES, "expand": ["data.payments"]}),
        InvoiceList,
    )
    as_of = subscription.as_of(now)
    whole = await asyncio.gather(*(_with_taken_back(api, invoice, prices, as_of) for invoice in invoices.data))
    return subscription.facts(tuple(whole), now)


async def _with_taken_back(api: StripeApi, wire: InvoiceWire, prices: PlanPrices, as_of: datetime) -> Invoice:
    last = max((moment(line.period.end) for line in wire.lines.data), default=as_of)
    paid = wire.status is InvoiceStatus.PAID and wire.amount_paid > 0
    if not paid or wire.payment_intent_id is None or last < as_of - TAKEN_BACK_WITHIN:
        return wire.invoice(prices)
    back = await fetch_taken_back(api, wire.payment_intent_id)
    return wire.invoice(prices, back.refunds, back.disputes)


async def cancel_subscription(api: StripeApi, subscription_id: str) -> None:
    """End it now, without a last invoice; one that has ended already is as good. Raises StripeError."""
    try:
        await api.call(
            api.v1.subscriptions.cancel_async(subscription_id, {"invoice_now": False, "prorate": False}),
            SubscriptionWire,
        )
    except StripeMissingError:
        return


async def void_invoice(api: StripeApi, invoice_id: str) -> None:
    """Let nobody pay it any more; where it was paid meanwhile, the next look finds that. Raises StripeError."""
    try:
        await api.call(api.v1.invoices.void_invoice_async(invoice_id), InvoiceWire)
    except StripeRefusedError:
        return


async def refund_invoice(api: StripeApi, invoice: Invoice, order_id: str) -> None:
    """Give back what is left of its payment, once; raises StripeError."""
    if invoice.payment_intent_id is None:
        raise StripeRefusedError(f"{invoice.invoice_id} was not paid through Stripe")
    await api.call(
        api.v1.refunds.create_async(
            {
                "payment_intent": invoice.payment_intent_id,
                "metadata": {ORDER_KEY: order_id},
                "reason": "duplicate",
            },
            {"idempotency_key": f"superfluous-{invoice.invoice_id}"},
        ),
        Refund,
    )


async def create_portal(
    api: StripeApi, customer_id: str, *, return_url: str, locale: str, configuration: str | None = None
) -> str:
    """The address of a page of Stripe's where its customer finds invoices, card and plan; raises StripeError.

    Without a `configuration` it is the one that was saved in Stripe's Dashboard.
    """
    params: SessionCreateParams = {
        "customer": customer_id,
        "return_url": return_url,
        "locale": stripe_locale(locale),
    }
    if configuration is not None:
        params["configuration"] = configuration
    return (await api.call(api.v1.billing_portal.sessions.create_async(params), PortalSession)).url
