"""Where a person's money and tokens are: one sentence for whoever asks "I paid and have no tokens"."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

from billing.domain.facts import RefundFacts
from billing.domain.orders import Order, OrderState

_GONE: Final = ("revoked", "restored", "expired")
_NOT_AS_ORDERED: Final = {
    "amount": "Stripe asks for another amount than was ordered",
    "currency": "Stripe has another currency than was ordered",
    "mode": "Stripe's payment is of the other mode, test or live",
    "other_order": "its Checkout at Stripe names another order",
    "received": "another amount came than was asked for",
}
"""What `convergence` calls a mismatch, in words for people."""
UNHANDLED: Final = frozenset({"waiting", "given_up"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An event of Stripe's about the order, and what came of it (`waiting`, `handled`, `ignored`, `given_up`)."""

    event_id: str
    type: str
    happened_at: datetime
    received_at: datetime
    status: str
    outcome: str | None
    last_error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An event that billing says of the order; `is_published` once the stream has it."""

    event_id: str
    name: str
    recorded_at: datetime
    is_published: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Credited:
    """An event of the ledger's about the order's lot."""

    event_id: str
    type: str
    recorded_at: datetime
    tokens: int
    debt_repaid: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AtStripe:
    """What Stripe says of the order's payment just now, in its own words.

    `is_paid` None: it does not say, for the reason in `status`. `failure`: why the last attempt was declined.
    """

    is_paid: bool | None
    status: str
    method: str | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLife:
    """All that a verdict on an order follows from; None: it could not be asked.

    `waiting_letters` are dead letters of its events that wait, `noted` the words of its life's lines.
    `is_all_said_kept`: it is not so old that something of `said` was let go of.
    """

    order: Order
    at_stripe: AtStripe | None = None
    received: Sequence[Received] = ()
    said: Sequence[Said] = ()
    credited: Sequence[Credited] | None = ()
    waiting_letters: Sequence[str] = ()
    is_all_said_kept: bool = True
    noted: Collection[str] = ()
    refunds: Sequence[RefundFacts] = ()


def verdict(life: OrderLife) -> str:
    """What is so, and what to do where something is to be done."""
    beside = "; it was paid twice: refund the other one in Stripe's Dashboard" if "paid_twice" in life.noted else ""
    return _by_state(life) + _refund_open(life) + beside


def _refund_open(life: OrderLife) -> str:
    """Money that somebody was promised, and does not have; of several refunds the newest tells how it went on."""
    newest = max(life.refunds, key=lambda each: each.created_at, default=None)
    if newest is None or newest.has_left:
        return ""
    amount = f"; a refund of {newest.amount_minor} {life.order.currency}"
    if newest.has_failed:
        return f"{amount} failed: send the money another way, or make refund again"
    return f"{amount} is not through yet ({newest.status}): tokens are taken back once the money has left"


def _by_state(life: OrderLife) -> str:
    order = life.order
    match order.state:
        case OrderState.PAID:
            return _of_paid(life)
        case OrderState.QUARANTINED:
            return (
                f"quarantined, not credited: {_mismatch(order)}; "
                f"look at it at Stripe, then make refund ORDER={order.id} REASON=…"
            )
        case OrderState.AWAITING_APPROVAL:
            return f"waits for a second person: make approve ORDER={order.id}"
        case OrderState.CREATED | OrderState.OPEN | OrderState.PENDING:
            return _missed(life) or _by_what_is_known(life, _of_unpaid(life))
        case OrderState.FAILED:
            failed = f"not paid: the payment failed{_declined(life)}, no money was taken"
            return _missed(life) or _by_what_is_known(life, failed)
        case OrderState.EXPIRED:
            ended = "not paid: the Checkout, or what it issued, ended before anybody paid"
            return _missed(life) or _by_what_is_known(life, ended)
        case OrderState.CANCELLED:
            return _missed(life) or _by_what_is_known(life, "not paid: the order was cancelled")
        case _:
            assert_never(order.state)


def _mismatch(order: Order) -> str:
    reason = order.quarantine_reason or "see the changes below"
    return _NOT_AS_ORDERED.get(reason, reason)


def _of_paid(life: OrderLife) -> str:
    order = life.order
    paid = f"paid at {_told(order.paid_at)}"
    if not order.gives_credits:
        return f"{paid}, {_of_plan(life)}"
    purchase = next((each for each in life.said if each.name == "billing.credits_purchased"), None)
    granted = next((each for each in life.credited or () if each.type == "ledger.credits_granted"), None)
    if granted is not None:
        repaid = f", {granted.debt_repaid} of which repaid a debt" if granted.debt_repaid else ""
        credited = f"credited at {_told(granted.recorded_at)}: {order.tokens} tokens{repaid}"
        left = f"what is left, and whether the account may use it: make balance ACCOUNT={order.account_id}"
        return f"{paid}, {credited}{_taken_back(order)}{_taken_by_hand(life)}; {left}"
    if purchase is None:
        return f"{paid}, {_unsaid(life)}"
    if not purchase.is_published:
        return f"{paid}, not yet told to the ledger: billing or NATS is down; it is told when both are up"
    if life.credited is None:
        return f"{paid}, told to the ledger: what it made of it can't be read from here; see make lots"
    if life.waiting_letters:
        return f"{paid}, but the ledger gave up on it: make dead-letters, then make dead-letters-retry"
    return f"{paid}, told to the ledger and not credited yet: is the ledger up? If it lasts, make billing-republish"


def _of_plan(life: OrderLife) -> str:
    order = life.order
    told = [each for each in life.said if each.name in {"billing.plan_subscribed", "billing.plan_ended"}]
    if not told:
        return f"and the plan {order.plan} {_unsaid(life)}"
    if not told[-1].is_published:
        return "and its plan not yet told to the ledger: billing or NATS is down; it is told when both are up"
    if life.waiting_letters:
        return "but the ledger gave up on its plan: make dead-letters, then make dead-letters-retry"
    last = f"told to the ledger at {_told(told[-1].recorded_at)}: see make balance ACCOUNT={order.account_id}"
    if told[-1].name == "billing.plan_ended":
        return f"and its plan has ended, {last}"
    if life.said[-1].name == "billing.renewal_failed":
        return f"its renewal is not paid, so that it ends with its grace; its plan {last}"
    return f"its plan {last}"


def _unsaid(life: OrderLife) -> str:
    if life.is_all_said_kept:
        return "never told to the ledger: run make billing-sync"
    account = life.order.account_id
    return f"so long ago that what was told to the ledger is not kept any more: see make lots ACCOUNT={account}"


def _taken_back(order: Order) -> str:
    if not order.revoked_tokens:
        return ""
    causes = [
        *([f"refunded {order.refunded_minor} {order.currency}"] if order.refunded_minor else []),
        *([f"disputed {order.disputed_minor} {order.currency}"] if order.disputed_minor else []),
        *(["frozen by a warning of fraud"] if order.is_frozen else []),
    ]
    todo = ""
    if order.disputed_minor:
        todo = "; answer the dispute in Stripe's Dashboard: what is won comes back"
    elif order.is_frozen:
        todo = f"; if you know the buyer: make unfreeze ORDER={order.id} REASON=…"
    return f"; {order.revoked_tokens} of them taken back ({', '.join(causes)}){todo}"


def _missed(life: OrderLife) -> str | None:
    """Stripe has the money, and the order does not say so."""
    if life.at_stripe is None or not life.at_stripe.is_paid:
        return None
    unhandled = [each for each in life.received if each.status in UNHANDLED]
    if not unhandled:
        return "paid at Stripe, webhook not received: run make billing-sync"
    if any(each.status == "given_up" for each in unhandled):
        return "paid at Stripe, webhook received and given up: make dead-letters, then make dead-letters-retry"
    return "paid at Stripe, webhook received and not handled yet: is billing up? If it lasts, make billing-sync"


def _taken_by_hand(life: OrderLife) -> str:
    """What the ledger took of the lot though billing did not say so: by `make revoke`, or when its time was over."""
    gone = dict.fromkeys(_GONE, 0)
    for each in life.credited or ():
        name = each.type.removeprefix("ledger.credits_")
        if name in gone:
            gone[name] += each.tokens
    by_hand = gone["revoked"] - gone["restored"] - life.order.revoked_tokens
    told = [
        *([f"{by_hand} of them revoked in the ledger (make lots)"] if by_hand > 0 else []),
        *([f"{gone['expired']} of them expired"] if gone["expired"] else []),
    ]
    return "".join(f"; {each}" for each in told)


def _by_what_is_known(life: OrderLife, sentence: str) -> str:
    """What stands here may be less than Stripe knows."""
    if life.at_stripe is None or life.at_stripe.is_paid is not None:
        return sentence
    return f"{life.at_stripe.status}; by what is known here: {sentence}"


def _declined(life: OrderLife) -> str:
    failure = life.at_stripe.failure if life.at_stripe else None
    return f" ({failure})" if failure else ""


def _of_unpaid(life: OrderLife) -> str:
    order = life.order
    if order.state is OrderState.PENDING:
        method = life.at_stripe.method if life.at_stripe else None
        return f"not paid yet: a {method or 'Pix or boleto'} was issued, and nobody has paid it so far"
    if order.state is OrderState.OPEN:
        declined = f"the last attempt was declined{text}; " if (text := _declined(life)) else ""
        return f"not paid: {declined}the Checkout is open until {_told(order.session_expires_at)}, and nobody has paid"
    return "not paid: the order was written, and no Checkout was made for it yet"


def _told(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "an unknown time"
