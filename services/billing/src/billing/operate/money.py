"""The verbs that give and take: orders of operators, their approval, refunds, warnings that are lifted."""

from chassis.operate.output import write_line
from chassis.operators import operator

from billing.application.manual_orders import ManualOrders
from billing.application.offers import load_offers
from billing.application.refunding import Refunding
from billing.application.trusting import Trusting
from billing.domain.manual_orders import Entry
from billing.domain.orders import Order as StoredOrder
from billing.operate.options import (
    Account,
    AmountOrNone,
    CurrencyOrNone,
    Key,
    Order,
    Package,
    PaidBy,
    Payer,
    Reason,
    Reference,
    TokensOrNone,
)
from billing.operate.selling import Selling, open_selling
from billing.store.order_life import is_account_known


async def order(
    *,
    account: Account,
    package: Package = None,
    tokens: TokensOrNone = None,
    paid_by: PaidBy,
    reference: Reference,
    reason: Reason,
    amount: AmountOrNone = None,
    currency: CurrencyOrNone = None,
    payer: Payer = None,
    key: Key = None,
) -> None:
    """Enters an order that was paid outside of Stripe; it credits at once, or waits for a second person.

    An account that the ledger does not know yet is told: it may be a typing error, which a refund undoes.
    """
    entry = Entry(
        account_id=account,
        payer_id=payer,
        package_id=package,
        tokens=tokens,
        amount_minor=amount,
        currency=currency,
        paid_by=paid_by,
        reference=reference,
        reason=reason,
    )
    async with open_selling() as selling:
        is_known = await is_account_known(selling.engine, account)
        offers = load_offers(selling.settings.catalog)
        entered = await _manual_orders(selling).enter(entry, offers, by=operator(), key=key)
    write_line(_view(entered) | ({"account_is_new": True} if is_known is False else {}))


async def approve(*, order: Order) -> None:
    """Approves an order that waits for a second person."""
    async with open_selling() as selling:
        approved = await _manual_orders(selling).approve(order, by=operator())
    write_line(_view(approved))


async def refund(*, order: Order, amount: AmountOrNone = None, reason: Reason) -> int:
    """Gives an order back, or a part of it: through Stripe what was paid there, by a record what was paid elsewhere.

    Exit 1 where Stripe says that it has failed.
    """
    async with open_selling() as selling:
        refunding = Refunding(engine=selling.engine, stripe=selling.stripe, looks=selling.looks)
        refunded = await refunding.refund(order, amount, by=operator(), reason=reason)
    told = {"refund_id": refunded.refund_id, "refund_minor": refunded.amount_minor, "status": refunded.status}
    write_line(told | _view(refunded.order))
    return 1 if refunded.has_failed else 0


async def unfreeze(*, order: Order, reason: Reason) -> None:
    """Gives back what a warning of fraud took of an order whose buyer is known; refunds and disputes go on counting."""
    async with open_selling() as selling:
        trusted = await Trusting(engine=selling.engine, looks=selling.looks).trust(order, by=operator(), reason=reason)
    write_line(_view(trusted))


def _manual_orders(selling: Selling) -> ManualOrders:
    return ManualOrders(
        engine=selling.engine,
        looks=selling.looks,
        approval_tokens=selling.settings.approval_tokens,
        livemode=selling.settings.livemode,
    )


def _view(order: StoredOrder) -> dict[str, object]:
    return {
        "order_id": order.id,
        "state": order.state,
        "account_id": order.account_id,
        "tokens": order.tokens,
        "amount_minor": order.amount_minor,
        "currency": order.currency,
        "refunded_minor": order.refunded_minor,
        "revoked_tokens": order.revoked_tokens,
    }
