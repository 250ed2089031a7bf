"""What an order becomes by the facts: its state, what is said of it, and the lines of its life."""

from datetime import datetime

from contracts.events.billing import CreditsPurchased, PaymentFailed, PurchaseRestored, PurchaseRevoked
from msgspec import Struct, structs

from billing.domain.facts import OrderFacts, PaymentFacts, PaymentStatus, SessionFacts, SessionStatus
from billing.domain.history import Change
from billing.domain.look_pace import is_past_settling
from billing.domain.orders import CREDITS_SOURCE, Order, OrderState
from billing.domain.taking_back import TakenBack, cause_of, money_back, taken_back

type OrderEvent = CreditsPurchased | PurchaseRevoked | PurchaseRestored | PaymentFailed


class ConvergedOrder(Struct, frozen=True, kw_only=True):
    """The order as it is now, with what to publish and to note; the very one that was read where nothing is new."""

    order: Order
    events: tuple[OrderEvent, ...] = ()
    changes: tuple[Change, ...] = ()


def converge_order(order: Order, facts: OrderFacts, *, now: datetime, who: str) -> ConvergedOrder:
    """Decide from the stored order and the facts alone, whatever brought the look about and how often it comes.

    A paid order never goes back. An order whose amount or currency is not what was ordered is quarantined instead of
    paid. What is granted and taken back are totals, so each event says the difference to what was said before. What is
    awaited for longer than anything settles has expired; should it come all the same, it counts.
    """
    known = _with_ids(order, facts)
    mismatch = None if order.state is OrderState.PAID else _mismatch(order, facts)
    state = OrderState.QUARANTINED if mismatch else _observed(order, facts)
    reason = mismatch
    if state is OrderState.PENDING and is_past_settling(now - order.created_at):
        state, reason = OrderState.EXPIRED, "never_settled"
    events: list[OrderEvent] = []
    changes: list[Change] = []
    after = structs.replace(known, state=state, quarantine_reason=mismatch or known.quarantine_reason)
    if state is not order.state:
        details = {"from": order.state.value} | ({"reason": reason} if reason else {})
        changes.append(Change(what=state.value, who=who, details=details))
    if state is OrderState.PAID and order.state is not OrderState.PAID:
        after = _paid(after, facts, now)
        events += [_purchased(after)] if after.gives_credits else []
    if state is OrderState.FAILED and order.state is not OrderState.FAILED and order.gives_credits:
        events.append(_failed(after))
    if state is OrderState.PAID and _tells_what_is_back(after, facts):
        back = _take_back(after, facts, who)
        after, events, changes = back.order, [*events, *back.events], [*changes, *back.changes]
    if after == order:
        return ConvergedOrder(order=order)
    return ConvergedOrder(order=structs.replace(after, changed_at=now), events=tuple(events), changes=tuple(changes))


def _with_ids(order: Order, facts: OrderFacts) -> Order:
    """The ids and addresses that Stripe has given meanwhile; one that is known stays where Stripe tells none."""
    session, payment = facts.session, facts.payment
    if session is not None:
        order = structs.replace(
            order,
            session_id=session.id,
            session_url=session.url or order.session_url,
            session_expires_at=session.expires_at,
            customer_id=session.customer_id or order.customer_id,
            payment_intent_id=session.payment_intent_id or order.payment_intent_id,
            subscription_id=session.subscription_id or order.subscription_id,
            invoice_id=session.invoice_id or order.invoice_id,
        )
    if payment is not None:
        order = structs.replace(
            order,
            payment_intent_id=payment.id,
            receipt_url=payment.receipt_url or order.receipt_url,
            code_url=payment.code_url,
        )
    return order


def _mismatch(order: Order, facts: OrderFacts) -> str | None:
    """What is not as it was ordered, in one word: then a person has to look. Discount and tax are no mismatch."""
    session, payment = facts.session, facts.payment
    if session is not None:
        if session.order_id != order.id:
            return "other_order"
        if session.currency != order.currency:
            return "currency"
        if session.subtotal_minor != order.amount_minor:
            return "amount"
        if session.livemode != order.livemode:
            return "mode"
    if payment is not None:
        wanted_minor = order.amount_minor if session is None else session.total_minor
        if payment.currency != order.currency:
            return "currency"
        if payment.livemode != order.livemode:
            return "mode"
        # A code that is typed at an open Checkout changes what it asks for.
        is_settled = session is None or session.status is SessionStatus.COMPLETE
        if is_settled and payment.amount_minor != wanted_minor:
            return "amount"
        if payment.status is PaymentStatus.SUCCEEDED and payment.received_minor != wanted_minor:
            return "received"
    return None


def _observed(order: Order, facts: OrderFacts) -> OrderState:
    session, payment = facts.session, facts.payment
    if order.state is OrderState.PAID:
        return OrderState.PAID
    if (session is not None and session.is_paid) or (payment is not None and payment.status is PaymentStatus.SUCCEEDED):
        return OrderState.PAID
    if session is None:
        return order.state if payment is None else _by_payment(order, payment)
    return _by_session(order, session, payment)


def _by_session(order: Order, session: SessionFacts, payment: PaymentFacts | None) -> OrderState:
    is_awaited = payment is not None and payment.status is PaymentStatus.AWAITED
    match session.status:
        case SessionStatus.OPEN:
            return OrderState.PENDING if is_awaited else OrderState.OPEN
        case SessionStatus.COMPLETE:
            if payment is None:
                return OrderState.FAILED if session.is_lapsed else OrderState.PENDING
            # It was confirmed, so a payment that is owed again was declined afterwards.
            is_owed = payment.status is PaymentStatus.OWED
            return OrderState.FAILED if is_owed else _by_payment(order, payment)
        case SessionStatus.EXPIRED:
            if is_awaited:
                return OrderState.PENDING
            # Whoever cancelled or failed it has said more than that its time is over.
            ended = order.state in (OrderState.CANCELLED, OrderState.FAILED)
            return order.state if ended else OrderState.EXPIRED


def _by_payment(order: Order, payment: PaymentFacts) -> OrderState:
    match payment.status:
        case PaymentStatus.SUCCEEDED:
            return OrderState.PAID
        case PaymentStatus.AWAITED:
            return OrderState.PENDING
        case PaymentStatus.CANCELLED:
            ended = order.state in (OrderState.CANCELLED, OrderState.FAILED, OrderState.EXPIRED)
            return order.state if ended else OrderState.FAILED
        case PaymentStatus.OWED:
            return OrderState.FAILED if payment.has_failed else order.state


def _paid(order: Order, facts: OrderFacts, now: datetime) -> Order:
    session, payment = facts.session, facts.payment
    if session is not None:
        return structs.replace(
            order,
            paid_at=now,
            paid_minor=session.total_minor,
            discount_minor=session.discount_minor,
            tax_minor=session.tax_minor,
            quarantine_reason=None,
        )
    received_minor = 0 if payment is None else payment.received_minor
    return structs.replace(order, paid_at=now, paid_minor=received_minor, quarantine_reason=None)


def _tells_what_is_back(order: Order, facts: OrderFacts) -> bool:
    """Without the payment itself nothing is known of its refunds: then what is taken back stays as it is."""
    if facts.payment is None:
        return order.cost_nothing
    return facts.payment.status is PaymentStatus.SUCCEEDED


def _take_back(order: Order, facts: OrderFacts, who: str) -> ConvergedOrder:
    before = TakenBack(
        refunded_minor=order.refunded_minor,
        disputed_minor=order.disputed_minor,
        is_frozen=order.is_frozen,
        tokens=order.revoked_tokens,
    )
    after = taken_back(order, facts)
    if after == before:
        return ConvergedOrder(order=order)
    difference = after.tokens - before.tokens if order.gives_credits else 0
    changed = structs.replace(
        order,
        refunded_minor=after.refunded_minor,
        disputed_minor=after.disputed_minor,
        is_frozen=after.is_frozen,
        revoked_tokens=order.revoked_tokens + difference,
        revision=order.revision + bool(difference),
    )
    cause, reference = cause_of(before, after, facts)
    amount_minor = abs(money_back(order, after) - money_back(order, before))
    what = "taken_back" if difference > 0 else "given_back" if difference < 0 else "money_moved"
    details = {"cause": cause.value, "reference": reference, "tokens": abs(difference), "amount_minor": amount_minor}
    change = Change(what=what, who=who, details=details)
    if not difference:
        return ConvergedOrder(order=changed, changes=(change,))
    event_type = PurchaseRevoked if difference > 0 else PurchaseRestored
    event = event_type(
        order_id=order.id,
        revision=changed.revision,
        tokens=abs(difference),
        amount_minor=amount_minor,
        currency=order.currency,
        cause=cause,
        reference=reference,
    )
    return ConvergedOrder(order=changed, events=(event,), changes=(change,))


def _purchased(order: Order) -> CreditsPurchased:
    return CreditsPurchased(
        order_id=order.id,
        tokens=order.tokens,
        amount_minor=order.paid_minor or 0,
        currency=order.currency,
        source=CREDITS_SOURCE[order.kind],
        package_id=order.package_id,
        payer_id=order.payer_id,
        expires_at=order.credits_expire_at,
    )


def _failed(order: Order) -> PaymentFailed:
    return PaymentFailed(
        order_id=order.id,
        tokens=order.tokens,
        amount_minor=order.amount_minor,
        currency=order.currency,
        source=CREDITS_SOURCE[order.kind],
    )
