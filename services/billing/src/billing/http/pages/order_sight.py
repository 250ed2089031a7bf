"""What an order's page shows: how the order stands to whoever looks at it, and what they may do."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never

from billing.domain.arrivals import Arrival
from billing.domain.orders import Order, OrderState
from billing.http.pages.words import OrderStage

FRESH_FOR: Final = timedelta(hours=1)
"""After that it is no news that the chat works, nor known."""
LIVE: Final = frozenset({OrderStage.UNPAID, OrderStage.AWAITED, OrderStage.ARRIVING})
"""What may change while somebody looks."""
_SIGNS: Final = {
    OrderStage.UNPAID: "wait",
    OrderStage.AWAITED: "wait",
    OrderStage.ARRIVING: "good",
    OrderStage.CREDITED: "good",
    OrderStage.SUBSCRIBED: "good",
    OrderStage.SETTLED: "good",
    OrderStage.TAKEN_BACK: "muted",
    OrderStage.QUESTIONED: "muted",
    OrderStage.DECLINED: "bad",
    OrderStage.EXPIRED: "muted",
    OrderStage.CANCELLED: "muted",
    OrderStage.EXAMINED: "wait",
}
_RETRIED: Final = frozenset({OrderStage.DECLINED, OrderStage.EXPIRED, OrderStage.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSight:
    """`price_minor` is what was collected where that is known, else what was ordered."""

    stage: OrderStage
    sign: str
    is_live: bool
    may_retry: bool
    pay_url: str | None
    code_url: str | None
    price_minor: int
    taken_back: int


def is_news(order: Order, now: datetime) -> bool:
    """Whether the page may say that the chat works, if the ledger says so."""
    return stage_of(order, now, Arrival.USABLE) in {OrderStage.CREDITED, OrderStage.SUBSCRIBED}


def sight_of(order: Order, now: datetime, arrival: Arrival = Arrival.AWAITED) -> OrderSight:
    """Nothing about a person: whoever knows the order's id sees this."""
    stage = stage_of(order, now, arrival)
    return OrderSight(
        stage=stage,
        sign=_SIGNS[stage],
        is_live=stage in LIVE,
        may_retry=stage in _RETRIED,
        pay_url=order.session_url if order.state is OrderState.OPEN else None,
        code_url=order.code_url if order.state is OrderState.PENDING else None,
        price_minor=order.amount_minor if order.paid_minor is None else order.paid_minor,
        taken_back=order.revoked_tokens if stage is OrderStage.SETTLED else 0,
    )


def stage_of(order: Order, now: datetime, arrival: Arrival) -> OrderStage:
    """By its state, and by what became of it since it was paid.

    Of an account that can serve no call, whatever keeps it from that, no more is said than that the order is paid.
    """
    match order.state:
        case OrderState.CREATED | OrderState.OPEN:
            return OrderStage.UNPAID
        case OrderState.PENDING:
            return OrderStage.AWAITED
        case OrderState.PAID if order.revoked_tokens and order.revoked_tokens == order.tokens:
            # A dispute or a warning of fraud is no refund: the money may be with nobody yet.
            return OrderStage.QUESTIONED if order.disputed_minor or order.is_frozen else OrderStage.TAKEN_BACK
        case OrderState.PAID if order.revoked_tokens or order.paid_at is None or now - order.paid_at > FRESH_FOR:
            return OrderStage.SETTLED
        case OrderState.PAID if arrival is Arrival.AWAITED:
            return OrderStage.ARRIVING
        case OrderState.PAID if arrival is Arrival.IDLE:
            return OrderStage.SETTLED
        case OrderState.PAID:
            return OrderStage.CREDITED if order.gives_credits else OrderStage.SUBSCRIBED
        case OrderState.FAILED:
            return OrderStage.DECLINED
        case OrderState.EXPIRED:
            return OrderStage.EXPIRED
        case OrderState.CANCELLED:
            return OrderStage.CANCELLED
        case OrderState.AWAITING_APPROVAL | OrderState.QUARANTINED:
            return OrderStage.EXAMINED
        case _:
            assert_never(order.state)
