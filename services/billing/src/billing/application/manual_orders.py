"""Enters orders that were paid outside of Stripe: once per key, and large ones with a second person's approval."""

from dataclasses import dataclass
from datetime import UTC, datetime

from contracts.errors import ConflictError, InvalidError, NotFoundError
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.looking import OrderLooks
from billing.application.order_ids import new_order_id
from billing.domain.history import Change
from billing.domain.manual_orders import Entry, check_approver, needs_approval, price
from billing.domain.offers import Offers
from billing.domain.orders import Order, OrderKind, OrderState
from billing.store.manual_orders import find_entered, insert_manual_order, load_approval, store_approval
from billing.store.orders import load_order


@dataclass(frozen=True, kw_only=True)
class ManualOrders:
    """`approval_tokens`: what is worth more waits for a second person. `livemode`: orders of real money."""

    engine: AsyncEngine
    looks: OrderLooks
    approval_tokens: int
    livemode: bool

    async def enter(self, entry: Entry, offers: Offers, *, by: str, key: str | None) -> Order:
        """The order that the entry becomes, paid at once unless it waits for approval. A repetition finds the same.

        Raises:
            InvalidError: what was typed makes no order.
            ConflictError: the key was used for something else.
        """
        priced = price(entry, offers)
        waits = needs_approval(priced.tokens, self.approval_tokens)
        now = datetime.now(UTC)
        order = Order(
            id=new_order_id(),
            kind=OrderKind.MANUAL,
            state=OrderState.AWAITING_APPROVAL if waits else OrderState.CREATED,
            account_id=entry.account_id,
            payer_id=entry.payer_id,
            package_id=entry.package_id,
            tokens=priced.tokens,
            amount_minor=priced.amount_minor,
            currency=priced.currency,
            livemode=self.livemode,
            reference=entry.reference,
            reason=entry.reason,
            created_at=now,
            changed_at=now,
        )
        entered = Change(what="entered", who=by, why=entry.reason, details={"paid_by": entry.paid_by})
        stored_key = entry.request_key(key)
        if await insert_manual_order(
            self.engine,
            order,
            [entered],
            paid_by=entry.paid_by,
            key=stored_key,
            content_hash=entry.content_hash,
        ):
            return await self.looks.look_anew(order.id, who=by)
        known = await find_entered(self.engine, stored_key)
        if known is None or known.content_hash != entry.content_hash:
            same = "KEY" if key is not None else "REFERENCE"
            other = "" if key is not None else "; with a KEY=… it is an order of its own"
            order_id = known.order_id if known is not None else "unknown"
            raise ConflictError(f"order {order_id} of this account has the same {same} and another content{other}")
        return await self.looks.look_anew(known.order_id, who=by)

    async def approve(self, order_id: str, *, by: str) -> Order:
        """Let an order that waits be paid. Whoever approves again finds it approved.

        Raises:
            NotFoundError: there is no such order.
            InvalidError: whoever entered it approves it, or it does not wait for anybody.
        """
        order, approval = await load_order(self.engine, order_id), await load_approval(self.engine, order_id)
        if order is None:
            raise NotFoundError(f"no order {order_id}")
        if approval is None or (order.state is not OrderState.AWAITING_APPROVAL and approval.approved_by != by):
            raise InvalidError(f"order {order_id} is {order.state} and waits for no approval")
        if order.state is OrderState.AWAITING_APPROVAL:
            check_approver(approval.entered_by, by)
            approved = structs.replace(order, state=OrderState.CREATED, changed_at=datetime.now(UTC))
            if not await store_approval(self.engine, approved, Change(what="approved", who=by)):
                raise ConflictError(f"order {order_id} was changed by somebody else just now; see make orders")
        return await self.looks.look_anew(order_id, who=by)
