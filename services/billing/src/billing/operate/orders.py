"""The verb that lists orders, as records for whoever keeps the books."""

import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from chassis.operate.database import open_engine
from chassis.operate.errors import BadInputError, RefusedError
from chassis.operate.output import write_line
from chassis.operate.spreadsheet import write_rows, write_text
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.order_life import ask_stripe, view_life
from billing.domain.vouchers import end_of_day
from billing.operate.life_table import life_text
from billing.operate.options import (
    AccountOrAll,
    FirstDay,
    Format,
    FormatOrNone,
    LastDay,
    OrderOrAll,
    StateOrAll,
)
from billing.operate.records_table import write_table
from billing.operate.selling import open_selling
from billing.operate.settings import load_settings
from billing.store.order_life import is_account_known
from billing.store.records import (
    Dispute,
    Invoice,
    OrderRecord,
    Refund,
    Wanted,
    is_account_in_orders,
    load_records,
)
from billing.store.tables import SERVICE

_OF_ORDERS: Final = tuple(
    name for name in OrderRecord.__struct_fields__ if name not in {"order_id", "refunds", "disputes", "invoices"}
)
COLUMNS: Final = ("record", "order_id", "id", "status", *_OF_ORDERS)
"""Of the table: an order is a row, and so is each of its refunds, disputes and invoices."""


async def orders(
    *,
    account: AccountOrAll = None,
    order: OrderOrAll = None,
    state: StateOrAll = None,
    first_day: FirstDay = None,
    last_day: LastDay = None,
    format: FormatOrNone = None,  # noqa: A002  as it is typed
) -> None:
    """Orders with their refunds, disputes and invoices, the oldest first; of one ORDER, its whole life.

    Without FORMAT they are a table on a terminal, and JSON lines for a program.
    """
    if order is not None:
        if any(value is not None for value in (account, state, first_day, last_day)):
            raise BadInputError("ORDER: names one order, and needs no ACCOUNT, STATE, FROM or TO")
        if format is Format.CSV:
            raise BadInputError("FORMAT: the life of one order is a table or json")
        await _show_life(order, format or Format.TABLE)
        return
    starts_at, ends_at = _days(first_day, last_day)
    wanted = Wanted(account_id=account, state=state, starts_at=starts_at, ends_at=ends_at)
    async with open_engine(SERVICE) as engine:
        if account is not None and not await is_account_in_orders(engine, account):
            await _refuse_unknown(engine, account)
        records = load_records(engine, wanted)
        match format or (Format.TABLE if sys.stdout.isatty() else Format.JSON):
            case Format.CSV:
                await write_rows(COLUMNS, _rows(records))
            case Format.TABLE:
                await write_table(records)
            case Format.JSON:
                async for record in records:
                    write_line(record)


async def _refuse_unknown(engine: AsyncEngine, account: str) -> None:
    """An account without orders has none to list; one that nobody knows is a typing error."""
    if await is_account_known(engine, account) is False:
        raise RefusedError(f"no account {account}: it has no orders, and the ledger does not know it (make find WHO=)")


async def _show_life(order_id: str, format: Format) -> None:  # noqa: A002  as above
    async with open_selling() as selling:
        life = await view_life(selling.engine, order_id, partial(ask_stripe, selling.stripe))
    if format is Format.JSON:
        write_line(life)
    else:
        write_text(life_text(life))


def _days(first_day: date | None, last_day: date | None) -> tuple[datetime | None, datetime | None]:
    if first_day is None and last_day is None:
        return None, None
    if first_day is not None and last_day is not None and first_day > last_day:
        raise BadInputError("FROM: not after TO")
    zone = ZoneInfo(load_settings().time_zone)
    starts_at = datetime.combine(first_day, time.min, zone).astimezone(UTC) if first_day else None
    return starts_at, end_of_day(last_day, zone) if last_day else None


async def _rows(records: AsyncIterator[OrderRecord]) -> AsyncIterator[dict[str, object]]:
    async for record in records:
        for row in _rows_of(record):
            yield dict.fromkeys(COLUMNS) | row


def _rows_of(record: OrderRecord) -> Iterator[dict[str, object]]:
    of_order = {name: getattr(record, name) for name in ("order_id", *_OF_ORDERS)}
    yield {"record": "order", "id": record.order_id} | of_order
    whose = {name: of_order[name] for name in ("order_id", "source", "account_id", "payer_id")}
    for refund in record.refunds:
        entered = {"entered_by": refund.requested_by}
        yield {"record": "refund", "id": refund.refund_id} | _fields(refund) | entered | whose
    for dispute in record.disputes:
        yield {"record": dispute.kind, "id": dispute.dispute_id} | _fields(dispute) | whose
    for invoice in record.invoices:
        due = {"amount_minor": invoice.due_minor}
        yield {"record": "invoice", "id": invoice.invoice_id} | _fields(invoice) | due | whose


def _fields(part: Refund | Dispute | Invoice) -> dict[str, object]:
    """Those that the table has columns for."""
    return {name: value for name, value in structs.asdict(part).items() if name in COLUMNS}
