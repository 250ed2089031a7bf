"""Plans that are paid for: what a subscription's periods, changes and end make of an account."""

from datetime import timedelta
from typing import Final

from contracts.balance import Cycle
from contracts.errors import InvalidError
from contracts.events.accounts import CycleStarted, SubscriptionChanged

from ledger.domain.commands import Administration, ChangePlan, EndSubscription, SubscribePlan
from ledger.domain.cycles import local_day, paid_cycle
from ledger.domain.decision import Decision, Draft, require_turn
from ledger.domain.plans import adopt_plan, after_limit, decide_plan, find_plan
from ledger.domain.policy import Policy
from ledger.domain.subscriptions import Subscription, find_subscription, ruling

LONGEST_AHEAD: Final = timedelta(days=400)
"""How far ahead of our clock a first period may start: the cycle that it starts lasts until after that."""
HALF_A_MONTH: Final = timedelta(days=14)


def decide_subscribed(draft: Draft, command: SubscribePlan, policy: Policy) -> Decision:
    """A subscription's first paid period starts a new cycle, anchored at the period's day, with the whole allowance.

    Later ones affirm the plan, for the account's cycles turn by themselves; another plan within a period brings its
    limit at once, and what was used stays used. Of several subscriptions, the one whose paid period started last rules;
    the others are noted.
    """
    before = draft.account.subscriptions
    known = find_subscription(before, command.subscription_id)
    if not _is_news(known, command):
        return draft.balance_answer()
    if command.period_starts_at.tzinfo is None or command.period_ends_at.tzinfo is None:
        raise InvalidError("a period's moments need an offset from UTC")
    if known is None and (until := draft.account.forgotten_until) is not None and command.period_starts_at <= until:
        raise InvalidError(
            f"subscription {command.subscription_id} is as old as some that are known no more: its period may have "
            "been given already"
        )
    draft.emit(
        SubscriptionChanged(
            subscription_id=command.subscription_id,
            revision=command.revision.number,
            plan=command.plan,
            period_starts_at=command.period_starts_at,
            period_ends_at=command.period_ends_at,
            actor=command.actor,
        )
    )
    now_ruling = ruling(draft.account.subscriptions)
    if now_ruling is None or now_ruling.id != command.subscription_id:
        return draft.balance_answer()
    if known is None or known.period_starts_at is None:
        _close_unpaid(draft, ruling(before), command, policy)
        return _start_paid_cycle(draft, command, policy)
    if command.plan == draft.account.plan and command.plan not in policy.catalog.plans:
        return draft.balance_answer()  # it is not sold any more, and who has it keeps it
    is_unpaid = _is_unpaid(draft.account.running_cycle, known)
    return decide_plan(draft, _change_to(command.plan, command), policy, is_unpaid=is_unpaid)


def decide_ended(draft: Draft, command: EndSubscription, policy: Policy) -> Decision:
    """Without the subscription, the account has the plan of one that still gives one, else the default plan.

    The cycle goes on, and what was used stays used; of a cycle that was never paid for, or whose payment is gone again,
    what was used beyond the new limit is owed. The end of one that does not rule changes nothing.
    """
    before = draft.account.subscriptions
    if not _is_news(find_subscription(before, command.subscription_id), command):
        return draft.balance_answer()
    draft.emit(
        SubscriptionChanged(
            subscription_id=command.subscription_id, revision=command.revision.number, plan=None, actor=command.actor
        )
    )
    ruled = ruling(before)
    if ruled is None or ruled.id != command.subscription_id:
        return draft.balance_answer()
    next_ruling = ruling(draft.account.subscriptions)
    plan = policy.default_plan if next_ruling is None else next_ruling.plan
    change = _change_to(plan if plan in policy.catalog.plans else policy.default_plan, command)
    is_unpaid = command.is_taken_back or _is_unpaid(draft.account.running_cycle, ruled)
    return decide_plan(draft, change, policy, is_unpaid=is_unpaid)


def _is_unpaid(cycle: Cycle, subscription: Subscription) -> bool:
    """Whether the cycle turned by itself for a period that was not paid since.

    Such a one lasts for most of a month beyond what is paid. That it begins before the period ends says little: it
    turns at a midnight of the account's time zone, and where a month is shorter up to four days before its period.
    """
    paid_until = subscription.period_ends_at
    return paid_until is not None and cycle.ends_at > paid_until + HALF_A_MONTH


def _is_news(known: Subscription | None, command: SubscribePlan | EndSubscription) -> bool:
    """Whether more is said of the subscription than was known.

    Raises:
        PrematureError: something that was said before it is missing, and may still come.
    """
    heard = 0 if known is None else known.revision
    require_turn(command.revision, heard, f"subscription {command.subscription_id}")
    return command.revision.number > heard


def _close_unpaid(draft: Draft, ruled: Subscription | None, command: SubscribePlan, policy: Policy) -> None:
    """Another subscription replaces one whose renewal is not paid: as if the end of that had been heard before."""
    if ruled is not None and _is_unpaid(draft.account.running_cycle, ruled):
        decide_plan(draft, _change_to(policy.default_plan, command), policy, is_unpaid=True)


def _start_paid_cycle(draft: Draft, command: SubscribePlan, policy: Policy) -> Decision:
    """The running cycle ends here, with its own limit's remainder for its holds; a limit set by hand ends with it."""
    plan, before = find_plan(policy, command.plan), draft.account
    if command.period_starts_at > draft.now + LONGEST_AHEAD:
        raise InvalidError(f"the period starts more than {LONGEST_AHEAD.days} days from now")
    anchor_day = local_day(command.period_starts_at, before.time_zone)
    draft.emit(
        CycleStarted(
            cycle=paid_cycle(before.running_cycle, draft.now, command.period_starts_at, anchor_day, before.time_zone),
            closed_cycle_id=before.running_cycle.id,
            closed_cycle_remaining=before.monthly_remaining,
            monthly_limit=plan.monthly_tokens,
            debt_repaid=min(before.debt, plan.monthly_tokens),
            anchor_day=anchor_day,
        )
    )
    adopt_plan(draft, plan, plan.monthly_tokens, command, policy)
    return after_limit(draft, before, policy)


def _change_to(plan: str, command: Administration) -> ChangePlan:
    return ChangePlan(account_id=command.account_id, plan=plan, reason_id=command.reason_id, actor=command.actor)
