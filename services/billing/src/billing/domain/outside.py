"""Facts of an order that Stripe has nothing to do with: what operators and vouchers say of it."""

from typing import Final

from billing.domain.facts import OrderFacts, PaymentFacts, PaymentStatus, RefundFacts
from billing.domain.orders import Order, OrderState

OUTSIDE: Final = "outside:"
"""How ids begin of payments and refunds that Stripe has no part in."""
_PAYS: Final = (OrderState.CREATED, OrderState.PAID)
"""Nothing else has to happen to such an order, once it does not wait for anybody's approval."""


def facts_outside(order: Order, refunds: tuple[RefundFacts, ...]) -> OrderFacts:
    """What is so of an order that was paid outside, with the refunds that were entered for it."""
    return OrderFacts(payment=payment_outside(order), refunds=refunds) if order.state in _PAYS else OrderFacts()


def payment_outside(order: Order) -> PaymentFacts:
    """The order's price as a payment that came: a bank transfer, or nothing for a voucher or a courtesy."""
    return PaymentFacts(
        id=order.payment_intent_id or f"{OUTSIDE}{order.id}",
        order_id=order.id,
        status=PaymentStatus.SUCCEEDED,
        amount_minor=order.amount_minor,
        received_minor=order.amount_minor,
        currency=order.currency,
        livemode=order.livemode,
    )
