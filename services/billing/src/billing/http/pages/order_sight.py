"""What an order's page shows: how the order stands to whoever looks at it, and what they may do."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never

from billing.domain.orders import Order, OrderState
from billing.http.pages.words import Standing

FRESH_FOR: Final = timedelta(hours=1)
"""After that it is no news that the chat works, nor known."""
LIVE: Final = frozenset({Standing.UNPAID, Standing.AWAITED})
"""What may change while somebody looks."""
_SIGNS: Final = {
    Standing.UNPAID: "wait",
    Standing.AWAITED: "wait",
    Standing.CREDITED: "good",
    Standing.SUBSCRIBED: "good",
    Standing.SETTLED: "good",
    Standing.TAKEN_BACK: "muted",
    Standing.DECLINED: "bad",
    Standing.EXPIRED: "muted",
    Standing.CANCELLED: "muted",
    Standing.EXAMINED: "wait",
}
_RETRIED: Final = frozenset({Standing.DECLINED, Standing.EXPIRED, Standing.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSight:
    """`price_minor` is what was collected where that is known, else what was ordered."""

    standing: Standing
    sign: str
    is_live: bool
    may_retry: bool
    pay_url: str | None
    price_minor: int
    taken_back: int


def sight_of(order: Order, now: datetime) -> OrderSight:
    """Nothing about a person: whoever knows the order's id sees this."""
    standing = standing_of(order, now)
    return OrderSight(
        standing=standing,
        sign=_SIGNS[standing],
        is_live=standing in LIVE,
        may_retry=standing in _RETRIED,
        pay_url=order.session_url if order.state is OrderState.OPEN else None,
        price_minor=order.amount_minor if order.paid_minor is None else order.paid_minor,
        taken_back=order.revoked_tokens if standing is Standing.SETTLED else 0,
    )


def standing_of(order: Order, now: datetime) -> Standing:
    """By its state, and by what became of it since it was paid."""
    match order.state:
        case OrderState.CREATED | OrderState.OPEN:
            return Standing.UNPAID
        case OrderState.PENDING:
            return Standing.AWAITED
        case OrderState.PAID if order.revoked_tokens and order.revoked_tokens == order.tokens:
            return Standing.TAKEN_BACK
        case OrderState.PAID if order.revoked_tokens or order.paid_at is None or now - order.paid_at > FRESH_FOR:
            return Standing.SETTLED
        case OrderState.PAID:
            return Standing.CREDITED if order.gives_credits else Standing.SUBSCRIBED
        case OrderState.FAILED:
            return Standing.DECLINED
        case OrderState.EXPIRED:
            return Standing.EXPIRED
        case OrderState.CANCELLED:
            return Standing.CANCELLED
        case OrderState.AWAITING_APPROVAL | OrderState.QUARANTINED:
            return Standing.EXAMINED
        case _:
            assert_never(order.state)
