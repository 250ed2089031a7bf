"""How an order ends of which nobody pays anything: refused, run out or called off before it is paid."""

from datetime import datetime
from typing import Final

from msgspec import structs

from billing.domain.convergence import ConvergedOrder
from billing.domain.history import Change
from billing.domain.orders import Order, OrderState

_MAY_END: Final = (OrderState.AWAITING_APPROVAL, OrderState.CREATED, OrderState.OPEN)


def end_unpaid(order: Order, state: OrderState, *, now: datetime, who: str, why: str | None = None) -> ConvergedOrder:
    """The order in its new state; unchanged where it is past that. A payment that comes all the same still counts."""
    if order.state not in _MAY_END:
        return ConvergedOrder(order=order)
    change = Change(what=state.value, who=who, why=why, details={"from": order.state.value})
    return ConvergedOrder(order=structs.replace(order, state=state, changed_at=now), changes=(change,))
