"""The shapes that each language fills: the sentences of one mail, and the words around its figures."""

from dataclasses import dataclass
from enum import Enum, auto
from zoneinfo import ZoneInfo

from notifier.domain.notices import Figures


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptLabels:
    """The words around what a receipt is about; `top_up` stands alone or before a name."""

    details: str
    balance: str
    bought: str
    package: str
    package_named: str
    top_up: str
    voucher: str
    manual: str
    tokens: str
    tokens_taken_back: str
    tokens_given_back: str
    amount: str
    free: str
    paid_by: str
    somebody_else: str
    valid_until: str
    order: str
    date: str
    plan: str
    period: str
    period_from_to: str
    plan_ends: str
    tokens_a_month: str
    not_paid: str
    last_day: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a receipt's sentences need beside its event.

    `figures` None: the ledger did not say, and the mail is silent about the balance. `is_out`: the account can serve no
    call for want of tokens. `is_active`: nobody has suspended it, as far as is known. `works_again`: it could serve no
    call, and can since just now. `plan_tokens`: what the plan that the receipt tells of gives a month; 0: not known.
    """

    brand: str
    time_zone: ZoneInfo
    figures: Figures | None
    plan_tokens: int
    is_out: bool
    is_active: bool
    works_again: bool
