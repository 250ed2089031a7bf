"""How figures, dates and times are written in both languages."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from language.choice import Language
from language.formats import (
    format_count,
    format_list,
    format_long_date,
    format_moment,
    format_money,
    format_number,
    format_seconds,
    format_short_date,
)

MONTHS = [
    ("janeiro", "January", "Jan"),
    ("fevereiro", "February", "Feb"),
    ("março", "March", "Mar"),
    ("abril", "April", "Apr"),
    ("maio", "May", "May"),
    ("junho", "June", "Jun"),
    ("julho", "July", "Jul"),
    ("agosto", "August", "Aug"),
    ("setembro", "September", "Sep"),
    ("outubro", "October", "Oct"),
    ("novembro", "November", "Nov"),
    ("dezembro", "December", "Dec"),
]


def test_numbers_and_dates_follow_the_language() -> None:
    moment = datetime(2025, 3, 2, 15, 5, tzinfo=ZoneInfo("Asia/Kolkata"))
    assert format_number(1_234_567, Language.PORTUGUESE) == "1.234.567"
    assert format_number(1_234_567, Language.ENGLISH) == "1,234,567"
    assert format_number(0, Language.ENGLISH) == "0"
    assert format_long_date(moment, Language.PORTUGUESE) == "2 de março de 2025"
    assert format_moment(moment, Language.PORTUGUESE) == "2 de março de 2025, 15:05 (UTC+5:30)"
    assert format_moment(moment, Language.ENGLISH) == "March 2, 2025, 3:05 PM (UTC+5:30)"
    assert format_moment(datetime(2025, 1, 1, tzinfo=UTC), Language.ENGLISH) == "January 1, 2025, 12:00 AM (UTC)"


@pytest.mark.parametrize(("month", "names"), list(enumerate(MONTHS, start=1)))
def test_every_month_has_its_name_in_both_lengths(month: int, names: tuple[str, str, str]) -> None:
    portuguese, english, short = names
    moment = datetime(2026, month, 9, tzinfo=UTC)
    assert format_long_date(moment, Language.PORTUGUESE) == f"9 de {portuguese} de 2026"
    assert format_long_date(moment, Language.ENGLISH) == f"{english} 9, 2026"
    assert format_short_date(moment, Language.PORTUGUESE) == f"09/{month:02}/2026"
    assert format_short_date(moment, Language.ENGLISH) == f"{short} 9, 2026"


def test_the_first_of_a_month_is_an_ordinal_in_portuguese() -> None:
    first = datetime(2026, 12, 1, tzinfo=UTC)
    assert format_long_date(first, Language.PORTUGUESE) == "1º de dezembro de 2026"
    assert format_long_date(first, Language.ENGLISH) == "December 1, 2026"


@pytest.mark.parametrize("language", list(Language))
def test_one_thing_is_singular_and_none_is_plural(language: Language) -> None:
    counts = [format_count(number, "token", "tokens", language) for number in (0, 1, 2)]
    assert counts == ["0 tokens", "1 token", "2 tokens"]


@pytest.mark.parametrize(("language", "last"), [(Language.PORTUGUESE, "e"), (Language.ENGLISH, "and")])
def test_a_list_names_its_last_part_with_a_word(language: Language, last: str) -> None:
    assert format_list(["a"], language) == "a"
    assert format_list(["a", "b"], language) == f"a {last} b"
    assert format_list(["a", "b", "c"], language) == f"a, b {last} c"


def test_seconds_are_written_with_their_unit() -> None:
    assert format_seconds(7, Language.ENGLISH) == "7 s"
    assert format_seconds(3_600, Language.PORTUGUESE) == "3.600 s"


def test_the_offset_is_the_moments_own_west_of_greenwich_too() -> None:
    moment = datetime(2025, 12, 1, 3, tzinfo=UTC)
    west = moment.astimezone(ZoneInfo("America/Sao_Paulo"))
    assert format_moment(west, Language.PORTUGUESE) == "1º de dezembro de 2025, 00:00 (UTC\N{MINUS SIGN}3)"
    half = moment.astimezone(ZoneInfo("America/St_Johns"))
    assert format_moment(half, Language.ENGLISH) == "November 30, 2025, 11:30 PM (UTC\N{MINUS SIGN}3:30)"


@pytest.mark.parametrize(
    ("amount_minor", "currency", "portuguese", "english"),
    [
        (7_490, "brl", "R$ 74,90", "R$ 74.90"),
        (1_490, "usd", "US$ 14,90", "US$ 14.90"),
        (1_490, "USD", "US$ 14,90", "US$ 14.90"),
        (0, "brl", "R$ 0,00", "R$ 0.00"),
        (5, "eur", "€ 0,05", "€ 0.05"),
        (-7_490, "brl", "\N{MINUS SIGN}R$ 74,90", "\N{MINUS SIGN}R$ 74.90"),
        (-5, "gbp", "\N{MINUS SIGN}£ 0,05", "\N{MINUS SIGN}£ 0.05"),
        (123_456_789, "brl", "R$ 1.234.567,89", "R$ 1,234,567.89"),
        (1_490, "jpy", "JPY 1.490", "JPY 1,490"),
        (0, "clp", "CLP 0", "CLP 0"),
        (20_900, "krw", "KRW 20.900", "KRW 20,900"),
        (1_490, "kwd", "KWD 1,490", "KWD 1.490"),
        (1_490_007, "bhd", "BHD 1.490,007", "BHD 1,490.007"),
        (500, "ugx", "UGX 5,00", "UGX 5.00"),
        (100, "zzz", "ZZZ 1,00", "ZZZ 1.00"),
        (2**53, "brl", "R$ 90.071.992.547.409,92", "R$ 90,071,992,547,409.92"),
    ],
)
def test_money_is_written_with_as_many_decimals_as_its_currency_has(
    amount_minor: int, currency: str, portuguese: str, english: str
) -> None:
    assert format_money(amount_minor, currency, Language.PORTUGUESE) == portuguese
    assert format_money(amount_minor, currency, Language.ENGLISH) == english
