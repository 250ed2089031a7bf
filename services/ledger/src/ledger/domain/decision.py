"""A decision in the making: the account as the events so far leave it, and the answer to the caller."""

from datetime import datetime

from contracts.balance import Balance
from contracts.errors import InvalidError, PrematureError
from contracts.events.accounts import CycleStarted
from contracts.events.credits import CreditsExpired
from contracts.events.notices import AccessRestored, TokensExhausted
from contracts.events.registry import LedgerEvent
from contracts.limits import MAX_INTEGER
from contracts.reservations import Granted, Refused
from msgspec import Struct

from ledger.domain.account import Account
from ledger.domain.alerts import standing, usage_alerts
from ledger.domain.commands import Revision
from ledger.domain.cycles import cycle_after
from ledger.domain.evolve import evolve
from ledger.domain.holds import Hold, evolve_hold
from ledger.domain.lots import ABOUT_LOTS, LotRecord, evolve_lot
from ledger.domain.policy import Policy


class Ended(Struct, frozen=True):
    """Answer to a settlement or an expiry: how the reservation stands; `changed` False for a repetition."""

    reservation_id: str
    changed: bool


Answer = Granted | Refused | Ended | Balance


class Decision(Struct, frozen=True):
    """What one command led to; `hold` is its reservation's record afterwards, if it names one."""

    account: Account
    events: tuple[LedgerEvent, ...]
    answer: Answer
    hold: Hold | None = None
    lot: LotRecord | None = None


class Draft:
    """Collects the events of one decision and keeps the account folded along with them.

    `clock` is the database's time, by which holds live; `now` is the account's, which never runs backwards.
    """

    __slots__ = ("account", "clock", "events", "hold", "lot", "now")

    def __init__(
        self,
        account: Account,
        now: datetime,
        hold: Hold | None = None,
        lot: LotRecord | None = None,
        *,
        clock: datetime | None = None,
    ) -> None:
        self.account = account
        self.now = now
        self.clock = now if clock is None else clock
        self.hold = hold
        self.lot = lot
        self.events: list[LedgerEvent] = []

    def emit(self, event: LedgerEvent) -> None:
        self.events.append(event)
        self.account = evolve(self.account, event, self.now)
        self.hold = evolve_hold(self.hold, event, self.now)
        if isinstance(event, ABOUT_LOTS):
            self.lot = evolve_lot(self.lot, event, self.now)

    def emit_usage_alerts(self, before: Account) -> None:
        for alert in usage_alerts(before, self.account):
            self.emit(alert)

    def exhaust_below(self, tokens: int) -> None:
        """Tell once that the account, holds ignored, can't cover `tokens`."""
        if not self.account.exhausted and self.account.balance_without_holds < tokens:
            self.emit(standing(TokensExhausted, self.account))

    def restore_from(self, tokens: int) -> None:
        """Tell once that the account, holds ignored, covers `tokens` again."""
        if self.account.exhausted and self.account.balance_without_holds >= tokens:
            self.emit(standing(AccessRestored, self.account))

    def restore_if_raised(self, before: Account, tokens: int) -> None:
        """As `restore_from`, for changes that may as well have lowered the balance."""
        if self.account.balance_without_holds > before.balance_without_holds:
            self.restore_from(tokens)

    def decided(self, answer: Answer) -> Decision:
        """End the decision.

        Raises:
            InvalidError: it would leave a figure that not every JSON reader can read.
        """
        account = self.account
        figures = (
            account.monthly_limit,
            account.monthly_used,
            account.credits,
            account.debt,
            account.unowed,
            account.held,
        )
        if self.events and max(figures) > MAX_INTEGER:
            raise InvalidError("the account's figures would exceed 2^53")
        return Decision(account, tuple(self.events), answer, self.hold, self.lot)

    def balance_answer(self) -> Decision:
        return self.decided(self.account.balance())


def require_turn(revision: Revision, heard: int, subject: str) -> None:
    """Of one order or subscription, what billing says is heard in the order of its revisions.

    Raises:
        PrematureError: something that was said before is missing, and may still come.
    """
    if revision.number > heard + 1 and not revision.gap_allowed:
        raise PrematureError(f"revision {revision.number} of {subject} came before revision {heard + 1}")


def advance(draft: Draft, policy: Policy) -> None:
    """Bring the account to the draft's time: start each due cycle in turn and retire lots past their date.

    Comes before every decision and every read. A cycle that passed unseen tells nothing: it is closed already.
    """
    while (cycle := draft.account.running_cycle).ends_at <= draft.now:
        account = draft.account
        draft.emit(
            CycleStarted(
                cycle=cycle_after(cycle, account.anchor_day, account.time_zone),
                closed_cycle_id=cycle.id,
                closed_cycle_remaining=account.monthly_remaining,
                monthly_limit=account.monthly_limit,
                debt_repaid=min(account.debt, account.monthly_limit),
            )
        )
        if draft.account.running_cycle.ends_at > draft.now:
            draft.emit_usage_alerts(account)
        draft.restore_from(policy.smallest_call_tokens)
    retire_lots(draft, policy)


def retire_lots(draft: Draft, policy: Policy) -> None:
    """Take out lots past their date; tokens that open holds may need stay until those end."""
    for lot in draft.account.lots:
        if lot.expires_at is None or lot.expires_at > draft.now:
            continue
        tokens = min(lot.tokens, max(0, draft.account.credits - draft.account.credits_needed_by_holds))
        if tokens:
            draft.emit(CreditsExpired(lot_id=lot.id, tokens=tokens))
            draft.exhaust_below(policy.smallest_call_tokens)
