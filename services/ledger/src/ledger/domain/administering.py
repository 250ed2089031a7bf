"""Plans, limits, statuses and credits, as people and payments change them."""

from contracts.errors import ConflictError, InvalidError
from contracts.events.accounts import (
    AccountOpened,
    CycleCorrected,
    LimitChanged,
    PlanChanged,
    RateLimitsChanged,
    StatusChanged,
    ThresholdsChanged,
)
from contracts.events.actors import Actor
from contracts.events.credits import CreditsGranted, CreditsRevoked
from msgspec.structs import replace

from ledger.domain.account import Account
from ledger.domain.catalog import Plan
from ledger.domain.charging import CORRECTION_PREFIX
from ledger.domain.commands import (
    ChangeLimit,
    ChangePlan,
    ChangeRateLimits,
    ChangeStatus,
    ChangeThresholds,
    CorrectCycle,
    GrantCredits,
    RevokeCredits,
)
from ledger.domain.cycles import cycle_at, local_day
from ledger.domain.decision import Decision, Draft
from ledger.domain.policy import Policy

STATUSES = frozenset({"pending", "active", "suspended", "blocked"})


def open_account(
    draft: Draft,
    policy: Policy,
    plan_name: str | None = None,
    anchor_day: int | None = None,
    *,
    actor: Actor = Actor.SYSTEM,
) -> None:
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
            actor=actor,
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
    if command.expires_at is not None and command.expires_at.tzinfo is None:
        raise InvalidError("a lot's date needs an offset from UTC")
    if command.lot_id.startswith(CORRECTION_PREFIX):
        raise InvalidError(f"a lot id that begins with {CORRECTION_PREFIX} is the ledger's own")
    if draft.lot is not None or any(lot.id == command.lot_id for lot in draft.account.lots):
        raise ConflictError(f"lot {command.lot_id} was granted before")
    draft.emit(
        CreditsGranted(
            lot_id=command.lot_id,
            tokens=command.tokens,
            debt_repaid=min(draft.account.debt, command.tokens),
            source=command.source,
            reference=command.reference,
            expires_at=command.expires_at,
            reason_id=command.reason_id,
            actor=command.actor,
        )
    )
    draft.restore_from(policy.smallest_call_tokens)
    return draft.balance_answer()


def decide_revoke(draft: Draft, command: RevokeCredits, policy: Policy) -> Decision:
    if command.tokens <= 0:
        raise InvalidError("credits are revoked in positive amounts")
    if draft.lot is None:
        raise InvalidError(f"the account has no lot {command.lot_id}")
    if command.tokens > draft.lot.revocable:
        raise InvalidError(
            f"of lot {command.lot_id} {draft.lot.granted} tokens were granted and {draft.lot.revoked} revoked: "
            f"{command.tokens} more can't be"
        )
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
            actor=command.actor,
        )
    )
    draft.exhaust_below(policy.smallest_call_tokens)
    return draft.balance_answer()


def decide_plan(draft: Draft, command: ChangePlan, policy: Policy) -> Decision:
    """Another plan brings its own limit; the same plan again keeps a limit that somebody set beside it."""
    plan, before = find_plan(policy, command.plan), draft.account
    keeps_limit = plan.name == before.plan and before.monthly_limit != before.plan_tokens and not command.reset_limit
    monthly_limit = before.monthly_limit if keeps_limit else plan.monthly_tokens
    standing = (before.plan, before.plan_tokens, before.monthly_limit, before.rate_limits)
    if (plan.name, plan.monthly_tokens, monthly_limit, plan.rate_limits) == standing:
        return draft.balance_answer()
    draft.emit(
        PlanChanged(
            plan=plan.name,
            previous_plan=before.plan,
            monthly_limit=monthly_limit,
            rate_limits=plan.rate_limits,
            debt_repaid=_debt_repaid_by(before, monthly_limit),
            catalog_version=policy.catalog.version,
            plan_tokens=plan.monthly_tokens,
            reason_id=command.reason_id,
            actor=command.actor,
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
            actor=command.actor,
        )
    )
    return _after_limit(draft, before, policy)


def decide_thresholds(draft: Draft, command: ChangeThresholds) -> Decision:
    """Thresholds passed already are told with the next change of used or limit."""
    thresholds = tuple(sorted(set(command.thresholds)))
    if any(not 1 <= percent <= 100 for percent in thresholds):
        raise InvalidError("thresholds are percentages from 1 to 100")
    if thresholds != draft.account.thresholds:
        draft.emit(ThresholdsChanged(thresholds=thresholds, reason_id=command.reason_id, actor=command.actor))
    return draft.balance_answer()


def decide_rate_limits(draft: Draft, command: ChangeRateLimits) -> Decision:
    if command.rate_limits != draft.account.rate_limits:
        draft.emit(RateLimitsChanged(rate_limits=command.rate_limits, reason_id=command.reason_id, actor=command.actor))
    return draft.balance_answer()


def decide_status(draft: Draft, command: ChangeStatus) -> Decision:
    if command.status not in STATUSES:
        raise InvalidError(f"unknown status {command.status!r}")
    if command.status != draft.account.status:
        draft.emit(
            StatusChanged(
                status=command.status,
                previous_status=draft.account.status,
                reason_id=command.reason_id,
                actor=command.actor,
            )
        )
    return draft.balance_answer()


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
    cycle = cycle_at(draft.now, account.anchor_day, account.time_zone)
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


def _debt_repaid_by(account: Account, monthly_limit: int) -> int:
    """A raised limit repays debt from the allowance that it adds."""
    added = max(0, monthly_limit - account.monthly_used) - account.monthly_remaining
    return min(account.debt, max(0, added))


def _after_limit(draft: Draft, before: Account, policy: Policy) -> Decision:
    draft.emit_usage_alerts(before)
    draft.exhaust_below(policy.smallest_call_tokens)
    draft.restore_if_raised(before, policy.smallest_call_tokens)
    return draft.balance_answer()
