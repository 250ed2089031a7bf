"""What people are told of a balance: thresholds, an exhausted allowance, exhausted tokens, restored access."""

from collections.abc import Iterator

from contracts.events.notices import AccessRestored, AllowanceExhausted, ThresholdCrossed, TokensExhausted
from contracts.events.registry import LedgerEvent

from ledger.domain.account import Account


def usage_alerts(before: Account, after: Account) -> Iterator[LedgerEvent]:
    """Thresholds newly reached in the running cycle, each in order, then the allowance's end.

    A threshold is reached when used x 100 >= limit x percent; a limit of 0 has none.
    """
    cycle = after.running_cycle
    limit, used = after.monthly_limit, after.monthly_used
    reached = [
        percent
        for percent in sorted(after.thresholds)
        if limit and percent not in after.crossed and used * 100 >= limit * percent
    ]
    for percent in reached:
        yield ThresholdCrossed(
            percent=percent,
            monthly_used=used,
            monthly_limit=limit,
            credits=after.credits,
            cycle_id=cycle.id,
            resets_at=cycle.ends_at,
        )
    had_allowance = before.monthly_remaining > 0 or before.cycle != after.cycle
    if limit and had_allowance and after.monthly_remaining == 0:
        yield AllowanceExhausted(
            monthly_used=used,
            monthly_limit=limit,
            credits=after.credits,
            announced_by_threshold=100 in reached,
            cycle_id=cycle.id,
            resets_at=cycle.ends_at,
        )


def standing[Event: (TokensExhausted, AccessRestored)](event: type[Event], account: Account) -> Event:
    """That the account can serve no call, holds ignored, or can again."""
    cycle = account.running_cycle
    return event(
        monthly_used=account.monthly_used,
        monthly_limit=account.monthly_limit,
        credits=account.credits,
        debt=account.debt,
        cycle_id=cycle.id,
        resets_at=cycle.ends_at,
    )
