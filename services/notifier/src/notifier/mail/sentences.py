"""The shapes that each language fills: the sentences of one mail, and the words around its figures."""

from dataclasses import dataclass
from enum import Enum, auto


class Target(Enum):
    """Where a mail's button leads."""

    PURCHASE = auto()
    USAGE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The sentences of one mail; plain text, escaped by whoever puts them into HTML.

    `offer` ends it where credits can be bought, `no_offer` where they can't; `button` leads to `target`.
    """

    subject: str
    headline: str
    paragraphs: tuple[str, ...]
    offer: str | None = None
    no_offer: str | None = None
    button: str
    target: Target = Target.PURCHASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The words around the figures, the same in every mail of a language; `tokens` for one and for many."""

    hello: str
    hello_name: str
    used: str
    limit: str
    monthly_remaining: str
    credits: str
    debt: str
    remaining: str
    resets: str
    tokens: tuple[str, str]
    used_of_limit: str
    remaining_now: str
    as_of: str
    why: str
    see_usage: str
    automatic: str
