"""The two languages in which people are told things, and how figures and dates are written in them."""

from datetime import datetime
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Language(StrEnum):
    PORTUGUESE = "pt-BR"
    ENGLISH = "en"


def choose_language(person_locale: str | None, accept_language: str | None, default: str) -> Language:
    """The person's own, else the first that the client accepts and we speak, else the default."""
    wishes = [person_locale or "", *(part.partition(";")[0] for part in (accept_language or "").split(",")), default]
    for wish in wishes:
        match wish.strip().lower()[:2]:
            case "pt":
                return Language.PORTUGUESE
            case "en":
                return Language.ENGLISH
    return Language.PORTUGUESE


def number(value: int, language: Language) -> str:
    """1234567 → 1.234.567 or 1,234,567."""
    text = f"{value:,}"
    return text.replace(",", ".") if language is Language.PORTUGUESE else text


def date(moment: datetime, time_zone: ZoneInfo, language: Language) -> str:
    """The day in the person's country: 01/12/2026 or Dec 1, 2026."""
    day = moment.astimezone(time_zone)
    if language is Language.PORTUGUESE:
        return f"{day:%d/%m/%Y}"
    return f"{_MONTHS[day.month - 1]} {day.day}, {day.year}"
