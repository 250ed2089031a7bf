"""One order's life as a table that a person reads: the verdict, the order, then what happened line by line."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec import json

from billing.application.order_life import LifeView
from billing.store.records import OrderRecord


class Line(NamedTuple):
    at: datetime
    where: str
    what: str


def life_text(life: LifeView) -> str:
    """The verdict alone stands on the first line."""
    return "\n".join([life.verdict, "", *_head(life), "", *_table(_lines(life))]) + "\n"


def _head(life: LifeView) -> Iterator[str]:
    order = life.order
    thing = order.package_id or order.plan or "credits"
    yield f"order    {order.order_id} ({order.source}), {order.state}"
    yield f"for      {order.account_id}" + (f", paid by {order.payer_id}" if order.payer_id else "")
    yield f"what     {thing}: {order.tokens} tokens for {_money(order.amount_minor, order.currency)}{_collected(order)}"
    if order.revoked_tokens:
        yield f"back     {order.revoked_tokens} tokens: {_money(order.refunded_minor, order.currency)} refunded, " + (
            f"{_money(order.disputed_minor, order.currency)} disputed"
        )
    if order.paid_by or order.reference:
        entered = f", entered by {order.entered_by}" if order.entered_by else ""
        approved = f", approved by {order.approved_by}" if order.approved_by else ""
        yield f"by       {order.paid_by or order.source}, reference {order.reference}{entered}{approved}"
    if order.session_id or order.payment_intent_id:
        yield f"stripe   {order.session_id or 'no Checkout'}, payment {order.payment_intent_id or 'none'}{_now(life)}"
    if life.credited is None or life.mails is None:
        yield "note     the ledger's or the notifier's tables can't be read from here"


def _collected(order: OrderRecord) -> str:
    if order.paid_minor is None or order.paid_minor == order.amount_minor:
        return ""
    return f", collected {_money(order.paid_minor, order.currency)}"


def _now(life: LifeView) -> str:
    if life.at_stripe is None:
        return ""
    said = "" if life.at_stripe.is_paid is None else "Stripe says just now: "
    declined = f", last attempt declined ({life.at_stripe.failure})" if life.at_stripe.failure else ""
    return f"; {said}{_one_line(life.at_stripe.status)}{declined}"


def _money(amount_minor: int, currency: str) -> str:
    return f"{amount_minor} {currency} (smallest unit)"


def _lines(life: LifeView) -> Iterator[Line]:
    for where, changes in (("order", life.changes), ("plan", life.plan_changes)):
        for change in changes:
            why = f", why: {_one_line(change.why)}" if change.why else ""
            details = f" {json.encode(change.details).decode()}" if change.details else ""
            yield Line(change.at, where, f"{change.what} by {change.who}{why}{details}")
    for event in life.received:
        outcome = event.outcome or event.last_error
        yield Line(event.received_at, "stripe", f"{event.type} {event.event_id}: {event.status}" + _after(outcome))
    for said in life.said:
        yield Line(said.recorded_at, "says", f"{said.name}, {'published' if said.is_published else 'NOT published'}")
    for credited in life.credited or ():
        yield Line(credited.recorded_at, "ledger", f"{credited.type}: {credited.tokens} tokens")
    for mail in life.mails or ():
        yield Line(mail.created_at, "mail", f"{mail.kind}: {mail.status}" + _after(mail.last_error))
    for refund in life.order.refunds:
        why = f", why: {_one_line(refund.reason)}" if refund.reason else ""
        by = f" by {refund.requested_by}" if refund.requested_by else ""
        amount = _money(refund.amount_minor, refund.currency)
        yield Line(refund.created_at, "refund", f"{refund.refund_id}: {amount}, {refund.status}{by}{why}")
    for dispute in life.order.disputes:
        amount = _money(dispute.amount_minor, dispute.currency)
        yield Line(dispute.created_at, "dispute", f"{dispute.dispute_id} ({dispute.kind}): {amount}, {dispute.status}")
    for invoice in life.order.invoices:
        paid = f"{_money(invoice.paid_minor, invoice.currency)} paid, {invoice.refunded_minor} refunded"
        period = f"{invoice.starts_at:%Y-%m-%d} to {invoice.ends_at:%Y-%m-%d}" if invoice.starts_at else "no period"
        yield Line(invoice.created_at, "invoice", f"{invoice.invoice_id}: {invoice.status}, {period}, {paid}")
    for letter in life.dead_letters:
        yield Line(letter.failed_at, "letter", f"{letter.id}: {_one_line(letter.reason)}")


def _table(lines: Iterable[Line]) -> Iterator[str]:
    for at, where, what in sorted(lines, key=lambda line: line.at):
        yield f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}  {where:<8} {what}"


def _after(text: str | None) -> str:
    return f" ({_one_line(text)})" if text else ""


def _one_line(text: str) -> str:
    """What somebody typed, or another program said, moves no cursor of a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
