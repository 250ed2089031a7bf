"""Auto top-up: when an account's balance is low, whether to buy its package now, later, or no more."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from contracts.events.billing import TopUpPause
from msgspec import Struct

MAX_FAILURES: Final = 2


class TopUp(Struct, frozen=True, kw_only=True):
    """What a person wants bought: `package_id` when less than `below_tokens` are left; `paused_for`: no more of it.

    At most `monthly_cap_minor` a month, in minor units of `currency`.
    """

    account_id: str
    package_id: str
    currency: str
    below_tokens: int
    monthly_cap_minor: int
    payer_id: str | None = None
    paused_for: TopUpPause | None = None


class Package(Struct, frozen=True, kw_only=True):
    """What the package is just now: `tokens` for `amount_minor`."""

    tokens: int
    amount_minor: int


class Left(Struct, frozen=True, kw_only=True):
    """What the ledger says an account has left, calls in flight ignored: what they hold is mostly not used."""

    tokens: int
    is_active: bool


class TopUpFacts(Struct, frozen=True, kw_only=True):
    """The account's balance, calls in flight ignored, and what became of its orders by auto top-up.

    `is_active`: it may use what it has, so that more is of use to it.
    `failures`: in a row, since it was set, `needs_owner`: one of them asks for the card's owner; `taken_back`: one was
    refunded or disputed since then. `last_tried_at` and
    `spent_minor` (of this month, open ones included) count all, however often it is set anew.
    """

    balance_tokens: int
    is_active: bool
    spent_minor: int
    has_open_order: bool
    taken_back: bool
    failures: int
    needs_owner: bool
    last_tried_at: datetime | None
    as_of: datetime


class Wait(StrEnum):
    """Why nothing is bought now."""

    ENOUGH_LEFT = "enough_left"
    PAUSED = "paused"
    ORDER_OPEN = "order_open"
    NOT_ACTIVE = "not_active"
    COOLING_DOWN = "cooling_down"
    CAP_REACHED = "cap_reached"
    WOULD_NOT_HELP = "would_not_help"


class Buy(Struct, frozen=True):
    """Buy the package now."""


class Pause(Struct, frozen=True):
    """Buy nothing any more until it is set anew, and say so."""

    cause: TopUpPause


class UselessTopUpError(Exception):
    """The package, bought at an empty balance, would not lift it above the threshold; it would be bought in a loop."""


class CapTooLowError(Exception):
    """The monthly cap does not pay for one package."""


def check_top_up(top_up: TopUp, package: Package) -> None:
    """Refuse what could only be bought in a loop, or never.

    Raises:
        UselessTopUpError, CapTooLowError: see there.
    """
    if package.tokens <= top_up.below_tokens:
        raise UselessTopUpError
    if top_up.monthly_cap_minor < package.amount_minor:
        raise CapTooLowError


def decide(top_up: TopUp, package: Package, facts: TopUpFacts, cool_down: timedelta) -> Buy | Pause | Wait:
    """What to do now.

    A purchase is an order, and each order makes the next wait: while it is open, then for the cool-down, whatever it
    came to. So no number of events buys in a loop.
    """
    if top_up.paused_for is not None:
        return Wait.PAUSED
    if facts.has_open_order:
        return Wait.ORDER_OPEN
    if facts.taken_back:
        return Pause(TopUpPause.TAKEN_BACK)
    if facts.needs_owner:
        return Pause(TopUpPause.AUTHENTICATION_REQUIRED)
    if facts.failures >= MAX_FAILURES:
        return Pause(TopUpPause.FAILED_TWICE)
    if not facts.is_active:
        return Wait.NOT_ACTIVE
    if facts.balance_tokens >= top_up.below_tokens:
        return Wait.ENOUGH_LEFT
    if facts.balance_tokens + package.tokens <= top_up.below_tokens:
        return Wait.WOULD_NOT_HELP
    if facts.last_tried_at is not None and facts.as_of < facts.last_tried_at + cool_down:
        return Wait.COOLING_DOWN
    if facts.spent_minor + package.amount_minor > top_up.monthly_cap_minor:
        return Wait.CAP_REACHED
    return Buy()
