"""Orders with their refunds, disputes and invoices as a table that a person reads: a line each, in aligned columns."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from chassis.operate.spreadsheet import write_text

from billing.store.records import OrderRecord

_HEAD = (
    "Times are UTC; amounts are in the currency's smallest unit; make orders ORDER=… tells the whole life of one.\n\n"
    f"{'at':<19}  {'record':<13} {'id':<36}  {'status':<17} {'amount':>10} cur  what\n"
)


class _Line(NamedTuple):
    at: datetime
    record: str
    name: str
    status: str
    amount_minor: int | None
    currency: str
    what: str


async def write_table(records: AsyncIterator[OrderRecord]) -> None:
    """To standard output, as they come; raises as `write_text`."""
    has_any = False
    async for record in records:
        write_text(("" if has_any else _HEAD) + "".join(map(_text, _lines(record))))
        has_any = True
    if not has_any:
        write_text("no orders\n")


def _lines(record: OrderRecord) -> Iterator[_Line]:
    yield _order(record)
    for refund in record.refunds:
        by = f"by {refund.requested_by}" if refund.requested_by else ""
        at, amount_minor = refund.created_at, -refund.amount_minor
        yield _Line(at, "refund", refund.refund_id, refund.status, amount_minor, refund.currency, by)
    for dispute in record.disputes:
        # Whether it takes the money its status says: a warning takes none, and one that was won gave it back.
        about = f"about {dispute.amount_minor}"
        at, currency = dispute.created_at, dispute.currency
        yield _Line(at, dispute.kind, dispute.dispute_id, dispute.status, None, currency, about)
    for invoice in record.invoices:
        what = f"{invoice.plan or 'no plan'}, {invoice.refunded_minor} of it refunded"
        at, paid_minor = invoice.created_at, invoice.paid_minor
        yield _Line(at, "invoice", invoice.invoice_id, invoice.status, paid_minor, invoice.currency, what)


def _order(record: OrderRecord) -> _Line:
    pays = f", paid by {record.payer_id}" if record.payer_id else ""
    back = f"; {record.revoked_tokens} tokens taken back" if record.revoked_tokens else ""
    thing = record.package_id or record.plan or record.source
    what = f"{thing}: {record.tokens} tokens for {record.account_id}{pays}{back}"
    amount_minor = record.amount_minor if record.paid_minor is None else record.paid_minor
    return _Line(record.created_at, "order", record.order_id, record.state, amount_minor, record.currency, what)


def _text(line: _Line) -> str:
    at, record, name, status, amount_minor, currency, what = line
    amount = "" if amount_minor is None else str(amount_minor)
    moment = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return f"{moment}  {record:<13} {name:<36}  {status:<17} {amount:>10} {currency}  {what}".rstrip() + "\n"
