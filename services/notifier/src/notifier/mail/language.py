"""The two languages of the mails: choosing one, and writing numbers and dates in it."""

from datetime import datetime
from enum import StrEnum
from typing import Final


class Language(StrEnum):
    """A language that mails are written in, by its tag."""

    PORTUGUESE = "pt-BR"
    ENGLISH = "en"


_PORTUGUESE_MONTHS: Final = [
    "janeiro",
    "fevereiro",
    "março",
    "abril",
    "maio",
    "junho",
    "julho",
    "agosto",
    "setembro",
    "outubro",
    "novembro",
    "dezembro",
]
_ENGLISH_MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def choose_language(locale: str | None, default: str) -> Language:
    """The person's language where we write it, else the default's, else Portuguese."""
    for tag in (locale, default):
        match (tag or "").replace("_", "-").lower().split("-")[0]:
            case "pt":
                return Language.PORTUGUESE
            case "en":
                return Language.ENGLISH
    return Language.PORTUGUESE


def format_number(number: int, language: Language) -> str:
    """1234567 → `1.234.567` in Portuguese, `1,234,567` in English."""
    grouped = f"{number:,}"
    return grouped.replace(",", ".") if language is Language.PORTUGUESE else grouped


def format_date(moment: datetime, language: Language) -> str:
    """`1º de dezembro de 2025` or `December 1, 2025`, in the moment's own time zone."""
    if language is Language.PORTUGUESE:
        day = "1º" if moment.day == 1 else str(moment.day)
        return f"{day} de {_PORTUGUESE_MONTHS[moment.month - 1]} de {moment.year}"
    return f"{_ENGLISH_MONTHS[moment.month - 1]} {moment.day}, {moment.year}"


def format_moment(moment: datetime, language: Language) -> str:
    """The date with the clock time and the offset from UTC."""
    date = format_date(moment, language)
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
