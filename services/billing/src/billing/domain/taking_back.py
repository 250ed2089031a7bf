"""How much of a paid order is taken back: a total that follows from all of its refunds, disputes and warnings."""

from contracts.events.billing import TakenBackFor
from msgspec import Struct

from billing.domain.facts import OrderFacts
from billing.domain.orders import Order


class TakenBack(Struct, frozen=True, kw_only=True):
    """`refunded_minor` and `disputed_minor` as they are now; `tokens`, which follow, are never more than bought."""

    refunded_minor: int
    disputed_minor: int
    is_frozen: bool
    tokens: int


def taken_back(order: Order, facts: OrderFacts) -> TakenBack:
    """The totals for a paid order (decision 20).

    They are `floor(tokens * money back / paid)`, so partial refunds, however odd, sum up to exactly what was bought
    when all is back. A warning of fraud takes the whole, until a dispute about it is won or a person lifts it. So does
    a refund of nothing, of an order that cost nothing.
    """
    refunded = sum(refund.amount_minor for refund in facts.refunds if refund.has_left)
    disputed = sum(dispute.amount_minor for dispute in facts.disputes if dispute.is_withdrawn)
    is_believed = order.is_trusted or any(dispute.is_won for dispute in facts.disputes)
    is_frozen = bool(facts.fraud_warnings) and not is_believed
    # A refund of nothing is one that an operator entered: Stripe makes none.
    is_gift_back = not order.paid_minor and any(each.has_left and not each.amount_minor for each in facts.refunds)
    tokens = order.tokens if is_frozen or is_gift_back else tokens_for(order, refunded + disputed)
    return TakenBack(refunded_minor=refunded, disputed_minor=disputed, is_frozen=is_frozen, tokens=tokens)


def tokens_for(order: Order, back_minor: int) -> int:
    """The tokens of the part of what was paid; all of them for all of it, and none of an order that cost nothing."""
    paid_minor = order.paid_minor or 0
    return order.tokens * min(back_minor, paid_minor) // paid_minor if paid_minor else 0


def money_back(order: Order, back: TakenBack) -> int:
    """What was paid and is not ours any more: a charge that is refunded and disputed is gone once."""
    return min(order.paid_minor or 0, back.refunded_minor + back.disputed_minor)


def cause_of(before: TakenBack, after: TakenBack, facts: OrderFacts) -> tuple[TakenBackFor, str]:
    """Why the tokens taken back differ, and which object of Stripe's says so; the newest, where there are several."""
    if after.is_frozen != before.is_frozen and after.is_frozen:
        return TakenBackFor.FRAUD_WARNING, max(facts.fraud_warnings, key=lambda each: each.created_at).id
    rises = after.tokens > before.tokens
    disputed = after.disputed_minor - before.disputed_minor
    if facts.disputes and (disputed > 0 if rises else disputed < 0 or before.is_frozen):
        return TakenBackFor.DISPUTE, max(facts.disputes, key=lambda each: each.created_at).id
    if before.is_frozen and not after.is_frozen and facts.fraud_warnings:
        return TakenBackFor.FRAUD_WARNING, max(facts.fraud_warnings, key=lambda each: each.created_at).id
    if facts.refunds:
        return TakenBackFor.REFUND, max(facts.refunds, key=lambda each: each.created_at).id
    # What took back is not there any more: a warning that was withdrawn, which Stripe does not speak of.
    return TakenBackFor.FRAUD_WARNING if before.is_frozen else TakenBackFor.REFUND, "withdrawn"
