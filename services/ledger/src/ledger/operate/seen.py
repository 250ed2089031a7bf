"""How the columns of a report look in a table: amounts in whole units of money, moments by the operator's clock."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Final

from chassis.operate.table import Cell, table_text
from language.formats import currency_decimals

_MICROS: Final = "_micros"
_MINOR: Final = "_minor"
_COST_DECIMALS: Final = Decimal("0.0001")
"""What a short call costs is a hundredth of a cent."""

type Value = Cell | datetime


def seen_table(columns: Sequence[str], rows: Sequence[Sequence[Value]], zone: tzinfo) -> str:
    """`cost_usd_micros` stands there as `cost_usd`, `revenue_brl_minor` as `revenue_brl`, moments are of `zone`."""
    names = [name.removesuffix(_MICROS).removesuffix(_MINOR) for name in columns]
    return table_text(
        names, [[_seen(name, value, zone) for name, value in zip(columns, row, strict=True)] for row in rows]
    )


def _seen(column: str, value: Value, zone: tzinfo) -> Cell:
    match value:
        case datetime():
            return f"{value.astimezone(zone):%Y-%m-%d %H:%M:%S}"
        case int() if column.endswith(_MICROS):
            return Decimal(value).scaleb(-6).quantize(_COST_DECIMALS)
        case int() if column.endswith(_MINOR):
            currency = column.removesuffix(_MINOR).rpartition("_")[2]
            return Decimal(value).scaleb(-currency_decimals(currency))
        case _:
            return value
