"""Plans, limits, statuses and credits, as people and payments change them."""

from contracts.errors import InvalidError
from contracts.events import (
    AccountOpened,
    CreditsGranted,
    CreditsRevoked,
    LimitChanged,
    PlanChanged,
    RateLimitsChanged,
    StatusChanged,
    ThresholdsChanged,
)

from ledger.domain.account import Account
from ledger.domain.catalog import Plan
from ledger.domain.commands import (
    ChangeLimit,
    ChangePlan,
    ChangeRateLimits,
    ChangeStatus,
    ChangeThresholds,
    GrantCredits,
    RevokeCredits,
)
from ledger.domain.cycles import cycle_at, local_day
from ledger.domain.decision import Decision, Draft
from ledger.domain.policy import Policy

STATUSES = frozenset({"pending", "active", "suspended", "blocked"})


def open_account(draft: Draft, policy: Policy, plan_name: str | None = None, anchor_day: int | None = None) -> None:
    """First event of an account: its plan and the cycle that runs now."""
    plan = find_plan(policy, policy.default_plan if plan_name is None else plan_name)
    anchor = local_day(draft.now, policy.time_zone) if anchor_day is None else anchor_day
    if not 1 <= anchor <= 31:
        raise InvalidError(f"anchor day {anchor} is not from 1 to 31")
    draft.emit(
        AccountOpened(
            plan=plan.name,
            status="active",
            monthly_limit=plan.monthly_tokens,
            rate_limits=plan.rate_limits,
            thresholds=policy.catalog.thresholds,
            anchor_day=anchor,
            time_zone=policy.time_zone,
            cycle=cycle_at(draft.now, anchor, policy.time_zone),
            catalog_version=policy.catalog.version,
        )
    )


def find_plan(policy: Policy, name: str) -> Plan:
    """A plan of the catalog.

    Raises:
        InvalidError: the catalog has none of that name.
    """
    try:
        return policy.catalog.plans[name]
    except KeyError:
        raise InvalidError(
            f"unknown plan {name!r}; the catalog has {', '.join(sorted(policy.catalog.plans))}"
        ) from None


def decide_grant(draft: Draft, command: GrantCredits, policy: Policy) -> Decision:
    if command.tokens <= 0:
        raise InvalidError("credits are granted in positive amounts")
    if any(lot.id == command.lot_id for lot in draft.account.lots):
        raise InvalidError(f"lot {command.lot_id} exists already")
    draft.emit(
        CreditsGranted(
            lot_id=command.lot_id,
            tokens=command.tokens,
            debt_repaid=min(draft.account.debt, command.tokens),
            source=command.source,
            reference=command.reference,
            expires_at=command.expires_at,
            reason_id=command.reason_id,
        )
    )
    draft.restore_from(policy.minimum_output_tokens)
    return draft.balance_answer()


def decide_revoke(draft: Draft, command: RevokeCredits, policy: Policy) -> Decision:
    if command.tokens <= 0:
        raise InvalidError("credits are revoked in positive amounts")
    left = next((lot.tokens for lot in draft.account.lots if lot.id == command.lot_id), 0)
    from_lot = min(left, command.tokens)
    draft.emit(
        CreditsRevoked(
            lot_id=command.lot_id,
            tokens=command.tokens,
            from_lot=from_lot,
            to_debt=command.tokens - from_lot,
            reference=command.reference,
            reason_id=command.reason_id,
        )
    )
    draft.exhaust_below(policy.minimum_output_tokens)
    return draft.balance_answer()


def decide_plan(draft: Draft, command: ChangePlan, policy: Policy) -> Decision:
    plan, before = find_plan(policy, command.plan), draft.account
    if (plan.name, plan.monthly_tokens, plan.rate_limits) == (before.plan, before.monthly_limit, before.rate_limits):
        return draft.balance_answer()
    draft.emit(
        PlanChanged(
            plan=plan.name,
            previous_plan=before.plan,
            monthly_limit=plan.monthly_tokens,
            rate_limits=plan.rate_limits,
            debt_repaid=_debt_repaid_by(before, plan.monthly_tokens),
            catalog_version=policy.catalog.version,
        )
    )
    return _after_limit(draft, before, policy)


def decide_limit(draft: Draft, command: ChangeLimit, policy: Policy) -> Decision:
    before = draft.account
    if command.monthly_limit < 0:
        raise InvalidError("a limit is zero or more")
    if command.monthly_limit == before.monthly_limit:
        return draft.balance_answer()
    draft.emit(
        LimitChanged(
            monthly_limit=command.monthly_limit,
            previous_limit=before.monthly_limit,
            debt_repaid=_debt_repaid_by(before, command.monthly_limit),
            reason_id=command.reason_id,
        )
    )
    return _after_limit(draft, before, policy)


def decide_thresholds(draft: Draft, command: ChangeThresholds) -> Decision:
    """Thresholds passed already are told with the next change of used or limit."""
    thresholds = tuple(sorted(set(command.thresholds)))
    if any(not 1 <= percent <= 100 for percent in thresholds):
        raise InvalidError("thresholds are percentages from 1 to 100")
    if thresholds != draft.account.thresholds:
        draft.emit(ThresholdsChanged(thresholds=thresholds))
    return draft.balance_answer()


def decide_rate_limits(draft: Draft, command: ChangeRateLimits) -> Decision:
    if command.rate_limits != draft.account.rate_limits:
        draft.emit(RateLimitsChanged(rate_limits=command.rate_limits))
    return draft.balance_answer()


def decide_status(draft: Draft, command: ChangeStatus) -> Decision:
    if command.status not in STATUSES:
        raise InvalidError(f"unknown status {command.status!r}")
    if command.status != draft.account.status:
        draft.emit(
            StatusChanged(status=command.status, previous_status=draft.account.status, reason_id=command.reason_id)
        )
    return draft.balance_answer()


def _debt_repaid_by(account: Account, monthly_limit: int) -> int:
    """A raised limit repays debt from the allowance that it adds."""
    added = max(0, monthly_limit - account.monthly_used) - account.monthly_remaining
    return min(account.debt, max(0, added))


def _after_limit(draft: Draft, before: Account, policy: Policy) -> Decision:
    draft.emit_usage_alerts(before)
    draft.exhaust_below(policy.minimum_output_tokens)
    draft.restore_if_raised(before, policy.minimum_output_tokens)
    return draft.balance_answer()
