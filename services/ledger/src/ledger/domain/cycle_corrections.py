"""How a cycle that a wrong clock started is undone."""

from contracts.errors import InvalidError
from contracts.events.accounts import CycleCorrected
from msgspec.structs import replace

from ledger.domain.commands import CorrectCycle
from ledger.domain.cycles import cycle_after, cycle_at
from ledger.domain.decision import Decision, Draft
from ledger.domain.policy import Policy


def decide_cycle_correction(draft: Draft, command: CorrectCycle, policy: Policy) -> Decision:
    """Put back the cycle that the clock says; what was used in it and in the wrong one is used in it.

    The account's time goes back to the clock's: it stands in a future that was never there. What was used, or repaid
    of debt, beyond the one allowance that there was is owed. Open holds name the cycle that admitted them, so they have
    to end first.
    """
    account = draft.account
    if not account.is_open or account.running_cycle.starts_at <= draft.now:
        raise InvalidError(f"account {account.account_id} has no cycle that starts in the future")
    if command.used_before < 0:
        raise InvalidError("what was used is zero or more")
    if account.all_open_holds:
        raise InvalidError(
            f"account {account.account_id} has calls in flight ({account.all_open_holds}); suspend it, and correct it "
            f"when they have ended"
        )
    cycle = command.rightful or cycle_at(draft.now, account.anchor_day, account.time_zone)
    while cycle.ends_at <= draft.now:
        cycle = cycle_after(cycle, account.anchor_day, account.time_zone)
    used = command.used_before + account.monthly_used
    to_debt = max(0, used - max(account.monthly_limit, command.used_before))
    draft.emit(
        CycleCorrected(
            cycle=cycle,
            replaced_cycle_id=account.running_cycle.id,
            monthly_used=used - to_debt,
            previous_monthly_used=account.monthly_used,
            reason_id=command.reason_id,
            actor=command.actor,
            to_debt=to_debt,
        )
    )
    draft.emit_usage_alerts(replace(account, cycle=cycle, monthly_used=command.used_before))
    draft.exhaust_below(policy.smallest_call_tokens)
    return draft.balance_answer()
