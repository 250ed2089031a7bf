"""What is sold in one currency, as cards that can be compared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from language.choice import Language

from billing.domain.offers import Offer, Offers

TOKENS_A_CHAT: Final = 8_000
"""Of a short chat: five questions of 100 tokens and answers of 400. Each sends all before it again, so the prompts
are 100, 600, 1,100, 1,600 and 2,100 tokens; with the answers and a title that is a little less than 8,000."""
_FAVOURED: Final = ("brl", "usd")
_WORTH_TELLING_PERCENT: Final = 95
"""A price by the token is told to be the lowest where it is at most so much of the highest."""
_MILLION: Final = 1_000_000

type Kind = Literal["package", "plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A package, or a plan by the month; amounts in the smallest unit of the currency.

    `chats` is about how many short chats it is worth, rounded down to what reads as a rough figure. `is_cheapest`: of
    its kind, by the token, where that is worth telling.
    """

    kind: Kind
    id: str
    name: str
    tokens: int
    amount_minor: int
    million_minor: int
    chats: int
    is_cheapest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """What lies on it in one currency, the smallest first, and the currencies that there are."""

    currency: str
    currencies: tuple[str, ...]
    packages: tuple[Card, ...]
    plans: tuple[Card, ...]

    @property
    def is_laid(self) -> bool:
        """Something is sold."""
        return bool(self.packages or self.plans)


def counter_of(offers: Offers, wished: str | None, language: Language) -> Counter:
    """In the wished currency if something is sold in it, else in the first that there is: reais, then dollars."""
    sold_in = {currency for offer in (*offers.packages, *offers.plans) for currency in offer.prices}
    currencies = tuple(sorted(sold_in, key=lambda each: (_rank(each), each)))
    currency = wished if wished in sold_in else next(iter(currencies), _FAVOURED[0])
    return Counter(
        currency=currency,
        currencies=currencies,
        packages=_compared(_cards("package", offers.packages, currency, language)),
        plans=_compared(_cards("plan", offers.plans, currency, language)),
    )


def about(number: int) -> int:
    """Rounded down to what reads as a rough figure: 7, 60 of 62, 120 of 125, 5100 of 5123."""
    digits = len(str(number))
    unit = 10 ** (digits - 2) if digits > 2 else 5 if digits == 2 else 1
    return number // unit * unit


def _cards(kind: Kind, offers: Sequence[Offer], currency: str, language: Language) -> list[Card]:
    return [
        Card(
            kind=kind,
            id=offer.id,
            name=offer.name(language),
            tokens=offer.tokens,
            amount_minor=amount,
            million_minor=(2 * amount * _MILLION + offer.tokens) // (2 * offer.tokens),  # rounded half up
            chats=about(offer.tokens // TOKENS_A_CHAT),
        )
        for offer in offers
        if (amount := offer.prices.get(currency)) is not None and offer.tokens
    ]


def _compared(cards: Sequence[Card]) -> tuple[Card, ...]:
    ordered = sorted(cards, key=lambda card: (card.tokens, card.amount_minor))
    lowest = min((card.million_minor for card in ordered), default=0)
    dearest = max((card.million_minor for card in ordered), default=0)
    if lowest * 100 > dearest * _WORTH_TELLING_PERCENT:
        return tuple(ordered)
    return tuple(replace(card, is_cheapest=card.million_minor == lowest) for card in ordered)


def _rank(currency: str) -> int:
    return _FAVOURED.index(currency) if currency in _FAVOURED else len(_FAVOURED)
