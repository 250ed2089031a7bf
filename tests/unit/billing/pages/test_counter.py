"""What lies on the counter: in which currency, in which order, compared by the token."""

import pytest
from billing.domain.offers import Offer, Offers
from billing.http.pages.counter import about, counter_of
from hypothesis import given as for_all
from hypothesis import strategies as st
from language.choice import Language

PT, EN = Language.PORTUGUESE, Language.ENGLISH


def offer(name: str, tokens: int, names: dict[str, str] | None = None, **prices: int) -> Offer:
    return Offer(id=name, tokens=tokens, prices=prices, stripe_prices={}, names=names or {})


OFFERS = Offers(
    packages=[
        offer("large", 4_000_000, {"pt": "Grande", "en": "Large"}, brl=44_990, usd=8_990),
        offer("small", 500_000, {"pt": "Pequeno", "en": "Small"}, brl=7_490, usd=1_490),
        offer("euro", 500_000, eur=1_500),
    ],
    plans=[offer("basic", 1_000_000, brl=12_490), offer("pro", 1_500_000, brl=18_490)],
)


def test_reais_come_first_then_dollars_then_the_rest() -> None:
    counter = counter_of(OFFERS, None, PT)
    assert counter.currency == "brl"
    assert counter.currencies == ("brl", "usd", "eur")


@pytest.mark.parametrize(
    ("wished", "currency"), [("usd", "usd"), ("eur", "eur"), ("jpy", "brl"), ("", "brl"), ("BRL", "brl")]
)
def test_the_wished_currency_is_shown_where_something_is_sold_in_it(wished: str, currency: str) -> None:
    assert counter_of(OFFERS, wished, PT).currency == currency


def test_only_what_is_sold_in_the_currency_is_shown_the_smallest_first() -> None:
    assert [card.id for card in counter_of(OFFERS, "brl", PT).packages] == ["small", "large"]
    assert [card.id for card in counter_of(OFFERS, "eur", PT).packages] == ["euro"]
    assert counter_of(OFFERS, "usd", PT).plans == ()


def test_names_are_read_in_both_languages() -> None:
    assert [card.name for card in counter_of(OFFERS, "brl", PT).packages] == ["Pequeno", "Grande"]
    assert [card.name for card in counter_of(OFFERS, "brl", EN).packages] == ["Small", "Large"]


def test_prices_are_compared_by_the_million_rounded_half_up() -> None:
    small, large = counter_of(OFFERS, "brl", PT).packages
    assert (small.million_minor, large.million_minor) == (14_980, 11_248)  # 11,247.5
    assert (small.chats, large.chats) == (60, 500)


def test_the_lowest_price_by_the_token_is_told_where_it_is_worth_telling() -> None:
    counter = counter_of(OFFERS, "brl", PT)
    assert [card.is_cheapest for card in counter.packages] == [False, True]
    assert [card.is_cheapest for card in counter.plans] == [False, False]  # by one in a hundred
    assert [card.is_cheapest for card in counter_of(OFFERS, "eur", PT).packages] == [False]


def test_where_nothing_is_sold_the_counter_is_empty() -> None:
    counter = counter_of(Offers(packages=[], plans=[]), "usd", PT)
    assert (counter.currencies, counter.packages, counter.plans) == ((), (), ())


@for_all(st.integers(0, 10**12))
def test_a_rough_figure_is_never_more_and_hardly_less(number: int) -> None:
    assert about(number) <= number
    assert number - about(number) <= max(4, number / 10)
