"""Gathers one order's whole life, from all who know of it, for whoever has to say where the tokens are."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from contracts.errors import NotFoundError
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.domain.facts import PaymentStatus
from billing.domain.order_life import AtStripe, Credited, OrderLife, Received, Said, verdict
from billing.domain.orders import PAID_OUTSIDE, Order
from billing.store.order_life import (
    LetterLine,
    MailLine,
    load_credited,
    load_letters,
    load_mails,
    load_plan_changes,
    load_received,
    load_said,
)
from billing.store.orders import StoredChange, load_changes, load_order
from billing.store.outbox import KEEP_SAID
from billing.store.records import OrderRecord, Wanted, load_records
from billing.store.taken_back import load_refunds
from billing.stripe_api.checkout import fetch_checkout
from billing.stripe_api.client import StripeApi
from billing.stripe_api.errors import StripeError, StripeMissingError, StripeRefusedError
from billing.stripe_api.payments import fetch_payment

ASK_SECONDS: Final = 5.0
"""Whoever waits at the desk is told what stands here, if Stripe takes longer."""


class LifeView(Struct, frozen=True, kw_only=True):
    """One order's life; what is None can't be read from here, or was not asked for."""

    verdict: str
    order: OrderRecord
    at_stripe: AtStripe | None
    changes: Sequence[StoredChange]
    plan_changes: Sequence[StoredChange]
    received: Sequence[Received]
    said: Sequence[Said]
    credited: Sequence[Credited] | None
    mails: Sequence[MailLine] | None
    dead_letters: Sequence[LetterLine]


type AskStripe = Callable[[Order], Awaitable[AtStripe | None]]


async def view_life(engine: AsyncEngine, order_id: str, ask_stripe: AskStripe) -> LifeView:
    """What became of an order; Stripe is asked what it says of it just now.

    Raises:
        NotFoundError: there is no such order.
    """
    order = await load_order(engine, order_id)
    if order is None:
        raise NotFoundError(f"no order {order_id}")
    at_stripe = await ask_stripe(order)
    (record,) = [each async for each in load_records(engine, Wanted(order_id=order_id))]
    received, said = await load_received(engine, order_id), await load_said(engine, order)
    credited, mails = await load_credited(engine, order), await load_mails(engine, order)
    messages = [*(each.event_id for each in received), *(each.event_id for each in said)]
    letters = await load_letters(engine, messages)
    changes = await load_changes(engine, order_id)
    is_all_said_kept = order.created_at > datetime.now(UTC) - KEEP_SAID
    life = OrderLife(
        order=order,
        at_stripe=at_stripe,
        received=received,
        said=said,
        credited=credited,
        waiting_letters=[letter.id for letter in letters],
        is_all_said_kept=is_all_said_kept,
        noted={change.what for change in changes},
        refunds=await load_refunds(engine, order_id),
    )
    return LifeView(
        verdict=verdict(life),
        order=record,
        at_stripe=at_stripe,
        changes=changes,
        plan_changes=await load_plan_changes(engine, order_id),
        received=received,
        said=said,
        credited=credited,
        mails=mails,
        dead_letters=letters,
    )


async def ask_stripe(stripe: StripeApi | None, order: Order) -> AtStripe | None:
    """What Stripe says of the order's payment just now, or why it does not; None where it has no part in it yet."""
    if order.kind in PAID_OUTSIDE or (order.session_id is None and order.payment_intent_id is None):
        return None
    if stripe is None:
        return AtStripe(is_paid=None, status="Stripe is not asked, since purchases are off here")
    try:
        async with asyncio.timeout(ASK_SECONDS):
            return await _ask(stripe, order)
    except StripeMissingError:
        return AtStripe(is_paid=None, status="Stripe knows no such payment: of another account or mode of Stripe's?")
    except StripeRefusedError as error:
        return AtStripe(is_paid=None, status=f"Stripe refuses to say ({error})")
    except (StripeError, TimeoutError):
        return AtStripe(is_paid=None, status="Stripe does not answer just now")


async def _ask(stripe: StripeApi, order: Order) -> AtStripe:
    if order.session_id is not None:
        session, payment = await fetch_checkout(stripe, order.session_id)
        is_paid = session.is_paid
        status = f"Checkout {session.status}, {'paid' if is_paid else 'not paid'}"
    else:
        payment = await fetch_payment(stripe, order.payment_intent_id or "")
        is_paid = payment.status is PaymentStatus.SUCCEEDED
        status = f"payment {payment.status}"
    if payment is None:
        return AtStripe(is_paid=is_paid, status=status)
    failure = payment.failure_code or "declined" if payment.has_failed else None
    return AtStripe(is_paid=is_paid, status=status, method=payment.method, failure=failure)
