"""The options of billing's verbs."""

import re
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from typing import Annotated, Final

from chassis.operate.options import MAX_REASON_LENGTH, option, switch, text, whole_number
from contracts.accounts import checked_account_id
from contracts.limits import MAX_INTEGER

from billing.domain.orders import ORDER_ID, OrderState
from billing.store.operator_tables import MAX_PAID_BY_LENGTH

MAX_NAME_LENGTH: Final = 64
MAX_KEY_LENGTH: Final = 128
MAX_REFERENCE_LENGTH: Final = 200
MAX_AMOUNT_MINOR: Final = 99_999_999_999
MAX_CODES: Final = 10_000
MAX_USES: Final = 1_000_000
MAX_EXPIRES_DAYS: Final = 36_500
_CURRENCY: Final = re.compile(r"[a-z]{3}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_A_DAY: Final = "a day such as 2026-12-31"


class Format(StrEnum):
    """How records are printed."""

    JSON = "json"
    CSV = "csv"
    TABLE = "table"


def _order_id(typed: str) -> str:
    if not ORDER_ID.fullmatch(typed):
        raise ValueError("the id of an order, ord_ and 32 letters and digits, as make orders lists it")
    return typed


def _currency(typed: str) -> str:
    if not _CURRENCY.fullmatch(typed):
        raise ValueError("three small letters such as brl")
    return typed


def _day(typed: str) -> date:
    try:
        day = date.fromisoformat(typed) if _DAY.fullmatch(typed) else None
    except ValueError:
        day = None
    if day is None or not 2000 <= day.year <= 2999:
        raise ValueError(_A_DAY)
    return day


def _one_of[Word: StrEnum](words: type[Word]) -> Callable[[str], Word]:
    def parse(typed: str) -> Word:
        if typed not in list(words):
            raise ValueError(f"one of {', '.join(words)}")
        return words(typed)

    return parse


def _line(most: int) -> Callable[[str], str]:
    """Text that stands in a line of a list as it was typed."""

    def parse(typed: str) -> str:
        if not text(most)(typed).isprintable() or typed != typed.strip():
            raise ValueError(f"at most {most} printable characters, without blanks at the ends")
        return typed

    return parse


_ACCOUNT: Final = option("--account", parse=checked_account_id, help="account id")
_ORDER: Final = option("--order", parse=_order_id, help="order id")
_REASON: Final = option("--reason", parse=text(MAX_REASON_LENGTH), help="kept in the order's changes, in no event")
_AMOUNT: Final = option(
    "--amount", parse=whole_number(0, MAX_AMOUNT_MINOR), help="in the currency's smallest unit: 7490 is R$ 74.90"
)
_FROM: Final = option("--from", parse=_day, help="first day, in SOLARIS_TIMEZONE")

Account = Annotated[str, _ACCOUNT]
AccountOrAll = Annotated[str | None, _ACCOUNT]
Payer = Annotated[str | None, option("--payer", parse=checked_account_id, help="account that pays for it")]
Order = Annotated[str, _ORDER]
OrderOrAll = Annotated[str | None, _ORDER]
Package = Annotated[str | None, option("--package", parse=_line(MAX_NAME_LENGTH), help="a package of the catalog")]
TokensOrNone = Annotated[int | None, option("--tokens", parse=whole_number(1, MAX_INTEGER), help="billable tokens")]
PaidBy = Annotated[
    str, option("--paid_by", parse=_line(MAX_PAID_BY_LENGTH), help="bank_transfer, courtesy, correction, …")
]
Reference = Annotated[
    str, option("--reference", parse=_line(MAX_REFERENCE_LENGTH), help="by what the payment is found again")
]
Reason = Annotated[str, _REASON]
ReasonOrNone = Annotated[str | None, _REASON]
AmountOrNone = Annotated[int | None, _AMOUNT]
CurrencyOrNone = Annotated[str | None, option("--currency", parse=_currency, help="brl, usd, …")]
Key = Annotated[str | None, option("--key", parse=text(MAX_KEY_LENGTH), help="idempotency key")]
StateOrAll = Annotated[OrderState | None, option("--state", parse=_one_of(OrderState), help="state of orders")]
FormatOrNone = Annotated[Format | None, option("--format", parse=_one_of(Format), help="json, csv or table")]
FirstDay = Annotated[date | None, _FROM]
LastDay = Annotated[date | None, option("--to", parse=_day, help="last day, in SOLARIS_TIMEZONE")]
Count = Annotated[int | None, option("--count", parse=whole_number(1, MAX_CODES), help="how many codes")]
Uses = Annotated[int | None, option("--uses", parse=whole_number(1, MAX_USES), help="how often one code can be used")]
PerAccount = Annotated[
    int | None, option("--per_account", parse=whole_number(1, MAX_USES), help="how often by one account")
]
Until = Annotated[date | None, option("--until", parse=_day, help="last day of the codes")]
ExpiresDays = Annotated[
    int | None,
    option("--expires_days", parse=whole_number(1, MAX_EXPIRES_DAYS), help="after how many days the tokens expire"),
]
Batch = Annotated[int, option("--batch", parse=whole_number(1, 2**53), help="number of a batch of vouchers")]
BatchOrAll = Annotated[
    int | None, option("--batch", parse=whole_number(1, 2**53), help="number of a batch, for its uses")
]
Show = Annotated[str | None, option("--show", parse=switch, help="1 shows what would be done, and does nothing")]
BelowOrNone = Annotated[
    int | None, option("--below", parse=whole_number(1, MAX_INTEGER), help="buy when less tokens are left")
]
MonthlyCap = Annotated[
    int | None,
    option("--monthly_cap", parse=whole_number(1, MAX_AMOUNT_MINOR), help="at most so much a month, in smallest units"),
]
Off = Annotated[str | None, option("--off", parse=switch, help="1 turns it off")]
