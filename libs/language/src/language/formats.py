"""Numbers, counts, money, lists, dates, times and durations as they are written in a person's language.

They are those of Unicode's CLDR, but for what people write otherwise: decision 16 lists it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from language.choice import Language

_PORTUGUESE_MONTHS: Final = (
    *("janeiro", "fevereiro", "março", "abril", "maio", "junho"),
    *("julho", "agosto", "setembro", "outubro", "novembro", "dezembro"),
)
_ENGLISH_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_AND: Final = {Language.PORTUGUESE: " e ", Language.ENGLISH: " and "}
_SIGNS: Final = {"brl": "R$", "usd": "US$", "eur": "€", "gbp": "£"}
"""Of what is paid here most; all else is told by its code, since many share `$` and `¥`."""
_WITHOUT_DECIMALS: Final = frozenset(
    {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"}
)
"""As Stripe counts them (docs.stripe.com/currencies): ISK and UGX stand there with two."""
_WITH_THREE_DECIMALS: Final = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})


def format_number(number: int, language: Language) -> str:
    """1234567 → `1.234.567` or `1,234,567`."""
    grouped = f"{number:,}"
    return grouped.replace(",", ".") if language is Language.PORTUGUESE else grouped


def format_count(number: int, one: str, many: str, language: Language) -> str:
    """The number with its noun: `1 token`, `0 tokens`, `1.234 tokens`."""
    return f"{format_number(number, language)} {one if number == 1 else many}"


def format_money(amount_minor: int, currency: str, language: Language) -> str:
    """`R$ 1.234,56`, `US$ 14.90`, `JPY 1,490`: an amount in the smallest unit of `currency`, its code in any case."""
    code, decimals = currency.lower(), currency_decimals(currency)
    whole, part = divmod(abs(amount_minor), 10**decimals)
    comma = "," if language is Language.PORTUGUESE else "."
    fraction = f"{comma}{part:0{decimals}}" if decimals else ""
    minus = "\N{MINUS SIGN}" if amount_minor < 0 else ""
    return f"{minus}{currency_sign(code)} {format_number(whole, language)}{fraction}"


def currency_decimals(currency: str) -> int:
    """How many digits stand behind the comma of an amount: 2 of `brl`, 0 of `jpy`; the code in any case."""
    code = currency.lower()
    return 0 if code in _WITHOUT_DECIMALS else 3 if code in _WITH_THREE_DECIMALS else 2


def currency_sign(currency: str) -> str:
    """`R$`, `US$`; of what has none here its code, `JPY`."""
    return _SIGNS.get(currency.lower(), currency.upper())


def format_list(parts: Sequence[str], language: Language) -> str:
    """`80%`, `80% e 90%`, `80%, 90% and 95%`; at least one part."""
    return _AND[language].join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)


def format_seconds(seconds: int, language: Language) -> str:
    """A duration: `7 s`."""
    return f"{format_number(seconds, language)} s"


def format_short_date(moment: datetime, language: Language) -> str:
    """`01/12/2026` or `Dec 1, 2026`, in the moment's own time zone."""
    if language is Language.PORTUGUESE:
        return f"{moment:%d/%m/%Y}"
    return f"{_ENGLISH_MONTHS[moment.month - 1][:3]} {moment.day}, {moment.year}"


def format_long_date(moment: datetime, language: Language) -> str:
    """`1º de dezembro de 2026` or `December 1, 2026`, in the moment's own time zone."""
    if language is Language.PORTUGUESE:
        day = "1º" if moment.day == 1 else str(moment.day)
        return f"{day} de {_PORTUGUESE_MONTHS[moment.month - 1]} de {moment.year}"
    return f"{_ENGLISH_MONTHS[moment.month - 1]} {moment.day}, {moment.year}"


def format_moment(moment: datetime, language: Language) -> str:
    """The long date with the clock time and the offset from UTC."""
    date = format_long_date(moment, language)
    if language is Language.PORTUGUESE:
        return f"{date}, {moment:%H:%M} ({_format_offset(moment)})"
    hour = moment.hour % 12 or 12
    return f"{date}, {hour}:{moment:%M} {'AM' if moment.hour < 12 else 'PM'} ({_format_offset(moment)})"


def _format_offset(moment: datetime) -> str:
    offset = moment.utcoffset()
    minutes = int(offset.total_seconds()) // 60 if offset else 0
    if minutes == 0:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    sign = "+" if minutes > 0 else "\N{MINUS SIGN}"
    return f"UTC{sign}{hours}:{rest:02d}" if rest else f"UTC{sign}{hours}"
