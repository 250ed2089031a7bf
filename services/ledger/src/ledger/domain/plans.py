"""The plan of an account and its monthly limit, from its opening on."""

from contracts.errors import InvalidError
from contracts.events.accounts import AccountOpened, LimitChanged, PlanChanged
from contracts.events.actors import Actor

from ledger.domain.account import Account
from ledger.domain.catalog import Plan
from ledger.domain.commands import Administration, ChangeLimit, ChangePlan
from ledger.domain.cycles import cycle_at, local_day
from ledger.domain.decision import Decision, Draft
from ledger.domain.policy import Policy


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


def decide_plan(draft: Draft, command: ChangePlan, policy: Policy, *, is_unpaid: bool = False) -> Decision:
    """Another plan brings its own limit; the same plan again keeps a limit that somebody set beside it.

    `is_unpaid`: nobody paid for the running cycle's allowance, so what was used beyond the new limit is owed.
    """
    plan, before = find_plan(policy, command.plan), draft.account
    keeps_limit = plan.name == before.plan and before.monthly_limit != before.plan_tokens and not command.reset_limit
    monthly_limit = before.monthly_limit if keeps_limit else plan.monthly_tokens
    to_debt = max(0, before.monthly_used - monthly_limit) if is_unpaid else 0
    adopt_plan(draft, plan, monthly_limit, command, policy, to_debt=to_debt)
    return draft.balance_answer() if draft.account is before else after_limit(draft, before, policy)


def adopt_plan(
    draft: Draft, plan: Plan, monthly_limit: int, command: Administration, policy: Policy, *, to_debt: int = 0
) -> None:
    """The plan with that limit, where the account does not have them already."""
    before = draft.account
    standing = (before.plan, before.plan_tokens, before.monthly_limit, before.rate_limits)
    if (plan.name, plan.monthly_tokens, monthly_limit, plan.rate_limits) == standing:
        return
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
            to_debt=to_debt,
        )
    )


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
    return after_limit(draft, before, policy)


def _debt_repaid_by(account: Account, monthly_limit: int) -> int:
    """A raised limit repays debt from the allowance that it adds."""
    added = max(0, monthly_limit - account.monthly_used) - account.monthly_remaining
    return min(account.debt, max(0, added))


def after_limit(draft: Draft, before: Account, policy: Policy) -> Decision:
    """Tell what the change of the limit, or of the cycle, means for people."""
    draft.emit_usage_alerts(before)
    draft.exhaust_below(policy.smallest_call_tokens)
    draft.restore_if_raised(before, policy.smallest_call_tokens)
    return draft.balance_answer()
