"""What there is at Stripe of a span of time, page by page: events, Checkouts, subscriptions, what is taken back."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

import stripe
from msgspec import Struct, json

from billing.domain.clues import ORDER_KEY
from billing.domain.facts import DisputeFacts, RefundFacts, SessionFacts
from billing.domain.orders import ORDER_ID
from billing.stripe_api.client import PAGE, StripeApi, read
from billing.stripe_api.errors import StripeRefusedError
from billing.stripe_api.wire import Dispute, FraudWarning, Reference, Refund, Session, id_of, moment

MAX_PAGES: Final = 1_000
"""A hundred thousand objects of one kind; who has more asks for less than 30 days at once."""


class PastEvent(Struct, frozen=True, kw_only=True):
    """An event as Stripe lists it; `payload` is its JSON, as a delivery has it."""

    id: str
    type: str
    livemode: bool
    happened_at: datetime
    payload: bytes


class PastCheckout(Struct, frozen=True, kw_only=True):
    """A Checkout; `facts` of one that says which order of ours it is for."""

    id: str
    order_id: str | None
    facts: SessionFacts | None


class PastRefund(Struct, frozen=True, kw_only=True):
    """A refund, and of which payment; `order_id` where it was made for an order."""

    facts: RefundFacts
    payment_intent_id: str | None
    order_id: str | None


class PastSubscription(Struct, frozen=True, kw_only=True):
    """A subscription, and for which order of ours it was made."""

    id: str
    order_id: str | None


class PastDispute(Struct, frozen=True, kw_only=True):
    facts: DisputeFacts
    payment_intent_id: str | None


class PastWarning(Struct, frozen=True, kw_only=True):
    """An early warning of fraud, and of which payment."""

    id: str
    payment_intent_id: str | None


class _Page(Struct):
    data: list[dict[str, Any]]  # objects as JSON has them
    has_more: bool


class _Event(Struct):
    id: str
    type: str
    livemode: bool
    created: int


class _Whose(Struct):
    """Whatever others sell through the same account of Stripe's may lack all else that ours have."""

    id: str
    client_reference_id: str | None = None
    metadata: dict[str, str] | None = None

    @property
    def order_id(self) -> str | None:
        """Others have orders as well: one of ours is known by the form of its id."""
        named = (self.metadata or {}).get(ORDER_KEY) or self.client_reference_id
        return named if named is not None and ORDER_ID.fullmatch(named) else None


type _Listing = Callable[[Any], Awaitable[stripe.StripeObject]]
"""Takes one of Stripe's own parameter types, of which each has what we give."""


async def past_events(api: StripeApi, since: datetime) -> AsyncIterator[list[PastEvent]]:
    """The newest first, of at most the last 30 days. Raises StripeError, as all of these."""
    async for page in _pages(api, api.v1.events.list_async, since):
        events = [(read(each, _Event), each) for each in page]
        yield [
            PastEvent(
                id=event.id,
                type=event.type,
                livemode=event.livemode,
                happened_at=moment(event.created),
                payload=json.encode(each),
            )
            for event, each in events
        ]


async def past_checkouts(api: StripeApi, since: datetime) -> AsyncIterator[list[PastCheckout]]:
    """The newest first, those of others too."""
    # What a look at one is told as well: a paid invoice makes an unpaid Checkout paid.
    async for page in _pages(api, api.v1.checkout.sessions.list_async, since, {"expand": ["data.invoice"]}):
        yield [_checkout(each) for each in page]


async def past_refunds(api: StripeApi, since: datetime) -> AsyncIterator[list[PastRefund]]:
    """The newest first, those of others too."""
    async for page in _pages(api, api.v1.refunds.list_async, since):
        yield [
            PastRefund(
                facts=refund.facts(),
                payment_intent_id=id_of(refund.payment_intent),
                order_id=read(each, _Whose).order_id,
            )
            for refund, each in ((read(each, Refund), each) for each in page)
        ]


async def past_disputes(api: StripeApi, since: datetime) -> AsyncIterator[list[PastDispute]]:
    """The newest first, those of others too."""
    async for page in _pages(api, api.v1.disputes.list_async, since):
        yield [
            PastDispute(facts=dispute.facts(), payment_intent_id=id_of(dispute.payment_intent))
            for dispute in (read(each, Dispute) for each in page)
        ]


async def past_warnings(api: StripeApi, since: datetime) -> AsyncIterator[list[PastWarning]]:
    """The newest first, those of others too."""
    async for page in _pages(api, api.v1.radar.early_fraud_warnings.list_async, since):
        warnings = [read(each, FraudWarning) for each in page]
        yield [PastWarning(id=each.id, payment_intent_id=id_of(each.payment_intent)) for each in warnings]


async def past_subscriptions(api: StripeApi, since: datetime) -> AsyncIterator[list[PastSubscription]]:
    """Begun since then, whatever has become of them; the newest first, those of others too."""
    async for page in _pages(api, api.v1.subscriptions.list_async, since, {"status": "all"}):
        wholes = [read(each, _Whose) for each in page]
        yield [PastSubscription(id=whole.id, order_id=whole.order_id) for whole in wholes]


async def _pages(
    api: StripeApi, listing: _Listing, since: datetime, more: Mapping[str, Any] | None = None
) -> AsyncIterator[list[dict[str, Any]]]:
    parameters: dict[str, Any] = {"created": {"gte": int(since.timestamp())}, "limit": PAGE, **(more or {})}
    for _ in range(MAX_PAGES):
        page = await api.call(listing(parameters), _Page)
        if page.data:
            yield page.data
        if not page.has_more or not page.data:
            return
        parameters = parameters | {"starting_after": read(page.data[-1], Reference).id}
    raise StripeRefusedError(f"more than {MAX_PAGES * PAGE} objects; ask for less with FROM")


def _checkout(each: dict[str, Any]) -> PastCheckout:
    whose = read(each, _Whose)
    facts = read(each, Session).facts() if whose.order_id is not None else None
    return PastCheckout(id=whose.id, order_id=whose.order_id, facts=facts)
