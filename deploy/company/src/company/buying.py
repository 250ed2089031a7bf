"""What people buy, as billing's own rules have it become; the payments are made up, and Stripe knows of none."""

from collections.abc import Sequence
from datetime import datetime
from random import Random
from typing import Final

from billing.domain.convergence import converge_order
from billing.domain.facts import DisputeFacts, OrderFacts, PaymentFacts, PaymentStatus, RefundFacts
from billing.domain.history import Change
from billing.domain.orders import PAID_OUTSIDE, Order
from billing.domain.outside import facts_outside
from billing.store.invented import InventedOrder
from billing.store.outbox import Said, Saying, said
from msgspec.structs import replace

CURRENCY: Final = "brl"
OPERATOR: Final = "operator:demo"


class Bought:
    """One order, from its first moment on: each look tells what billing says of it then."""

    def __init__(self, random: Random, order: Order, placed: Change) -> None:
        self._random = random
        self._refunds: tuple[RefundFacts, ...] = ()
        self._dispute: DisputeFacts | None = None
        self._method = "card"
        self._invented = InventedOrder(order=order, changes=[(order.created_at, placed)])

    @property
    def order(self) -> Order:
        return self._invented.order

    @property
    def invented(self) -> InventedOrder:
        """As it is to be stored: of its payment nothing is named that somebody could look for at Stripe."""
        stored = replace(self.order, payment_intent_id=None)
        facts = self._facts(PaymentStatus.SUCCEEDED)
        return replace(self._invented, order=stored, facts=facts)

    def awaits(self, method: str, at: datetime) -> Sequence[Said]:
        """A Pix or boleto was issued."""
        self._method = method
        return self._look(self._facts(PaymentStatus.AWAITED), at, "webhook")

    def pays(self, at: datetime, who: str = "webhook") -> Sequence[Said]:
        return self._look(self._facts(PaymentStatus.SUCCEEDED), at, who)

    def fails(self, at: datetime) -> Sequence[Said]:
        """The boleto ran out, or the card was declined for good."""
        return self._look(self._facts(PaymentStatus.CANCELLED), at, "webhook")

    def gives_back(self, part: int, at: datetime) -> Sequence[Said]:
        """One of `part` equal parts of what was paid is refunded."""
        refund = RefundFacts(
            id=f"outside:re_{self._random.getrandbits(96):024x}",
            amount_minor=(self.order.paid_minor or 0) // part,
            currency=self.order.currency,
            status="succeeded",
            created_at=at,
        )
        self._refunds = (*self._refunds, refund)
        return self._look(self._facts(PaymentStatus.SUCCEEDED), at, OPERATOR)

    def is_disputed(self, at: datetime) -> Sequence[Said]:
        self._dispute = DisputeFacts(
            id=f"outside:dp_{self._random.getrandbits(96):024x}",
            amount_minor=self.order.paid_minor or 0,
            currency=self.order.currency,
            status="needs_response",
            is_withdrawn=True,
            created_at=at,
        )
        return self._look(self._facts(PaymentStatus.SUCCEEDED), at, "webhook")

    def dispute_ends(self, at: datetime, *, won: bool) -> Sequence[Said]:
        assert self._dispute is not None, "it was disputed before"
        self._dispute = replace(self._dispute, status="won" if won else "lost", is_withdrawn=not won)
        return self._look(self._facts(PaymentStatus.SUCCEEDED), at, "webhook")

    def _look(self, facts: OrderFacts, at: datetime, who: str) -> Sequence[Said]:
        converged = converge_order(self.order, facts, now=at, who=who)
        told = [
            said(Saying(account_id=self.order.account_id, subject_id=self.order.id, data=event), at)
            for event in converged.events
        ]
        order = (
            converged.order
            if converged.order is self.order
            else replace(converged.order, version=self.order.version + 1)
        )
        self._invented = replace(
            self._invented,
            order=order,
            changes=[*self._invented.changes, *((at, change) for change in converged.changes)],
            sayings=[*self._invented.sayings, *told],
        )
        return told

    def _facts(self, status: PaymentStatus) -> OrderFacts:
        order = self.order
        if order.kind in PAID_OUTSIDE:
            return facts_outside(order, self._refunds)
        payment = PaymentFacts(
            id=f"outside:{order.id}",
            order_id=order.id,
            status=status,
            amount_minor=order.amount_minor,
            received_minor=order.amount_minor if status is PaymentStatus.SUCCEEDED else 0,
            currency=order.currency,
            livemode=order.livemode,
            method=self._method,
        )
        return OrderFacts(
            payment=payment, refunds=self._refunds, disputes=() if self._dispute is None else (self._dispute,)
        )


def order_id(random: Random) -> str:
    """An id of the form of every order's."""
    return f"ord_{random.getrandbits(128):032x}"
