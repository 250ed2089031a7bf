"""Lifts a warning of fraud from an order whose buyer somebody knows: what it took is given back."""

from dataclasses import dataclass
from datetime import UTC, datetime

from contracts.errors import ConflictError, InvalidError
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.looking import OrderLooks
from billing.domain.history import Change
from billing.domain.orders import Order
from billing.store.orders import make_due, update_order

LIFTED = "warning_lifted"


@dataclass(frozen=True, kw_only=True)
class Trusting:
    """Refunds and disputes, also later ones, take back as they would without a warning."""

    engine: AsyncEngine
    looks: OrderLooks

    async def trust(self, order_id: str, *, by: str, reason: str) -> Order:
        """The order afterwards; a second time it changes nothing.

        Raises:
            UnknownOrderError: there is no such order.
            InvalidError: no warning of fraud froze it.
            ConflictError: somebody else wrote it just now.
            StripeError: Stripe does not say how it stands; what was decided stays, and the sweep goes on with it.
        """
        order = await self.looks.look_anew(order_id, who=by)
        if order.is_trusted:
            return order
        if not order.is_frozen:
            raise InvalidError(f"order {order_id} is not frozen by a warning of fraud")
        trusted = structs.replace(order, is_trusted=True, changed_at=datetime.now(UTC))
        async with self.engine.begin() as connection:
            if not await update_order(connection, trusted, [Change(what=LIFTED, who=by, why=reason)]):
                raise ConflictError(f"order {order_id} was changed by somebody else just now; see make orders")
            await make_due(connection, order_id)
        return await self.looks.look_anew(order_id, who=by)
