"""One command on one account becomes events and an answer; all business rules meet here."""

from datetime import datetime
from typing import assert_never

from ledger.domain.account import Account
from ledger.domain.commands import (
    AdvanceAccount,
    ChangeLimit,
    ChangePlan,
    ChangeRateLimits,
    ChangeStatus,
    ChangeThresholds,
    Command,
    CorrectCycle,
    EndSubscription,
    ExpireReservation,
    GrantCredits,
    OpenAccount,
    ReserveTokens,
    RestoreCredits,
    RevokeCredits,
    SettleUsage,
    SubscribePlan,
)
from ledger.domain.credits import decide_grant, decide_restore, decide_revoke
from ledger.domain.cycle_corrections import decide_cycle_correction
from ledger.domain.decision import Decision, Draft, advance
from ledger.domain.holds import Hold
from ledger.domain.lots import LotRecord
from ledger.domain.paid_plans import decide_ended, decide_subscribed
from ledger.domain.plans import decide_limit, decide_plan, open_account
from ledger.domain.policy import Policy
from ledger.domain.rate_limits import decide_rate_limits
from ledger.domain.reservations import decide_reserve
from ledger.domain.settlements import decide_expire, decide_settle
from ledger.domain.statuses import decide_status
from ledger.domain.thresholds import decide_thresholds


def decide(
    account: Account,
    hold: Hold | None,
    command: Command,
    now: datetime,
    policy: Policy,
    *,
    lot: LotRecord | None = None,
    clock: datetime | None = None,
) -> Decision:
    """Decide `command` at `now`; `hold` and `lot` are the records of the reservation or lot that it names, if any.

    Time never runs backwards for an account: the decision is made at max(now, its last event). Holds live by `clock`,
    the database's time, which is `now` unless that is doubted. An account that was never opened is opened first. The
    events are the whole effect: folding them over `account` gives the result.

    Raises:
        InvalidError: the command breaks a rule that its sender could have known.
        ConflictError: a reservation ended already by another figure, or a lot of that id was granted before.
        PrematureError: what the command builds on is not there; the same command may succeed once it is.
    """
    if isinstance(command, CorrectCycle):
        return decide_cycle_correction(Draft(account, now), command, policy)
    clock = clock or now
    if account.last_event_at is not None and account.last_event_at > now:
        now = account.last_event_at
    draft = Draft(account, now, hold, lot, clock=clock)
    if account.is_open:
        advance(draft, policy)
    elif not isinstance(command, OpenAccount):
        open_account(draft, policy)
    match command:
        case ReserveTokens():
            return decide_reserve(draft, command, policy)
        case SettleUsage():
            return decide_settle(draft, command, policy)
        case ExpireReservation():
            return decide_expire(draft, command, policy)
        case AdvanceAccount():
            return draft.balance_answer()
        case OpenAccount():
            if not draft.account.is_open:
                open_account(draft, policy, command.plan, command.anchor_day, actor=command.actor)
            return draft.balance_answer()
        case GrantCredits():
            return decide_grant(draft, command, policy)
        case RevokeCredits():
            return decide_revoke(draft, command, policy)
        case RestoreCredits():
            return decide_restore(draft, command, policy)
        case SubscribePlan():
            return decide_subscribed(draft, command, policy)
        case EndSubscription():
            return decide_ended(draft, command, policy)
        case ChangePlan():
            return decide_plan(draft, command, policy)
        case ChangeLimit():
            return decide_limit(draft, command, policy)
        case ChangeThresholds():
            return decide_thresholds(draft, command)
        case ChangeRateLimits():
            return decide_rate_limits(draft, command)
        case ChangeStatus():
            return decide_status(draft, command)
        case _:
            assert_never(command)


def as_of(account: Account, now: datetime, policy: Policy) -> Account:
    """The account as a read at `now` sees it: due cycles started, expired lots gone; nothing is stored."""
    if account.last_event_at is not None and account.last_event_at > now:
        now = account.last_event_at
    draft = Draft(account, now)
    advance(draft, policy)
    return draft.account
