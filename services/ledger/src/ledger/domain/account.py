"""The state of one account, as its events made it."""

from datetime import datetime
from typing import Final

from contracts.balance import Balance, Cycle
from contracts.events.accounts import RateLimits
from msgspec import Struct

from ledger.domain.subscriptions import Subscription
from ledger.domain.windows import Room, Window

STATE_FORMAT: Final = 3
"""Of the stored state. Whoever meets a higher one decides nothing on it; a lower one is folded anew from the log."""


class Lot(Struct, frozen=True):
    """What is left of one grant of credits; lots stand in the order of their grants, which `ordinal` tells.

    A used-up lot is no part of the state: what it was stays in its record (see `lots`).
    """

    id: str
    tokens: int
    expires_at: datetime | None = None
    ordinal: int = 0


class ClosedCycle(Struct, frozen=True):
    """The remainder of an ended cycle, kept for the holds that it admitted until the last of them ends."""

    id: str
    remaining: int
    held: int
    open_holds: int


class Account(Struct, frozen=True, kw_only=True, tag_field="format", tag=STATE_FORMAT):
    """One account; `version` counts its events, and version 0 is an account that was never opened.

    `monthly_limit` is the plan's `plan_tokens` unless somebody set another. `debt` is to be repaid, `unowed` is not.
    `windows` are the capped budget windows beside the month that are running or have open holds. `subscriptions` are
    those that billing told of last, in that order; of others no period started after `forgotten_until`.

    `held` and `open_holds` belong to the running cycle; holds of ended cycles stand in `closed_cycles`.
    `requests_allowed_at` and `tokens_allowed_at` are the rate limiters' theoretical arrival times.
    """

    account_id: str
    version: int = 0
    plan: str = ""
    status: str = ""
    plan_tokens: int = 0
    monthly_limit: int = 0
    monthly_used: int = 0
    cycle: Cycle | None = None
    anchor_day: int = 1
    time_zone: str = "UTC"
    lots: tuple[Lot, ...] = ()
    debt: int = 0
    unowed: int = 0
    held: int = 0
    open_holds: int = 0
    closed_cycles: tuple[ClosedCycle, ...] = ()
    windows: tuple[Window, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    forgotten_until: datetime | None = None
    thresholds: tuple[int, ...] = ()
    crossed: tuple[int, ...] = ()
    exhausted: bool = False
    rate_limits: RateLimits = RateLimits()
    requests_allowed_at: datetime | None = None
    tokens_allowed_at: datetime | None = None
    last_event_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.version > 0

    @property
    def running_cycle(self) -> Cycle:
        """The cycle of an opened account."""
        assert self.cycle is not None, "an opened account has a cycle"
        return self.cycle

    @property
    def monthly_remaining(self) -> int:
        return max(0, self.monthly_limit - self.monthly_used)

    @property
    def credits(self) -> int:
        return sum(lot.tokens for lot in self.lots) if self.lots else 0  # asked several times a decision

    @property
    def held_against_balance(self) -> int:
        """Holds of the running cycle, and of ended cycles what their kept remainder does not cover."""
        if not self.closed_cycles:
            return self.held
        return self.held + sum(max(0, closed.held - closed.remaining) for closed in self.closed_cycles)

    @property
    def credits_needed_by_holds(self) -> int:
        """What open holds may take from credits at worst: their own cycle's remainder goes first."""
        needed = max(0, self.held - self.monthly_remaining)
        return needed + sum(max(0, closed.held - closed.remaining) for closed in self.closed_cycles)

    @property
    def balance_without_holds(self) -> int:
        return self.monthly_remaining + self.credits - self.debt

    @property
    def available(self) -> int:
        return self.balance_without_holds - self.held_against_balance

    @property
    def room(self) -> Room:
        """What a call may take of the balance."""
        return Room(self.available, self.held_against_balance, self.running_cycle.ends_at)

    @property
    def all_open_holds(self) -> int:
        return self.open_holds + sum(closed.open_holds for closed in self.closed_cycles)

    @property
    def due_at(self) -> datetime | None:
        """When time alone changes the account next: its cycle's end, or the first expiry of a lot.

        Where open holds may need all credits, no lot expires before one of them ends.
        """
        if self.cycle is None:
            return None
        dated = [lot.expires_at for lot in self.lots if lot.expires_at is not None]
        if not dated or self.credits <= self.credits_needed_by_holds:
            return self.cycle.ends_at
        return min(self.cycle.ends_at, *dated)

    def closed_cycle(self, cycle_id: str) -> ClosedCycle | None:
        """The kept remainder of an ended cycle, if any hold of it is open."""
        return next((closed for closed in self.closed_cycles if closed.id == cycle_id), None)

    def balance(self) -> Balance:
        """The balance object that others see."""
        return Balance(
            account_id=self.account_id,
            plan=self.plan,
            status=self.status,
            cycle=self.running_cycle,
            monthly_limit=self.monthly_limit,
            monthly_used=self.monthly_used,
            monthly_remaining=self.monthly_remaining,
            credits=self.credits,
            held=self.held_against_balance,
            debt=self.debt,
            available=self.available,
            unowed=self.unowed,
        )
