"""The lines of a subscription's life that a look at it adds."""

from collections.abc import Iterator

from contracts.events.billing import PlanEnded, PlanSubscribed, RenewalFailed

from billing.domain.history import Change
from billing.domain.subscriptions import Subscription, SubscriptionEvent


def lines_of(
    before: Subscription, after: Subscription, events: list[SubscriptionEvent], *, who: str
) -> Iterator[Change]:
    """What has changed, and what was said, of one subscription."""
    if after.status is not before.status:
        details = {"from": before.status.value, "to": after.status.value}
        yield Change(what="status", who=who, details=details)
    if after.cancel_at != before.cancel_at:
        ends_at = None if after.cancel_at is None else after.cancel_at.isoformat()
        yield Change(what="ends_at", who=who, details={"cancel_at": ends_at})
    if after.standing is not before.standing:
        yield Change(what=after.standing.value, who=who)
    for event in events:
        yield _line_of(event, who)


def _line_of(event: SubscriptionEvent, who: str) -> Change:
    match event:
        case PlanSubscribed():
            details = {
                "plan": event.plan,
                "revision": event.revision,
                "period_starts_at": event.period_starts_at.isoformat(),
                "period_ends_at": event.period_ends_at.isoformat(),
                "amount_minor": event.amount_minor,
                "currency": event.currency,
            }
            return Change(what=f"plan_{event.change}", who=who, details=details)
        case PlanEnded():
            return Change(
                what="plan_ended",
                who=who,
                details={"plan": event.plan, "revision": event.revision, "cause": event.cause.value},
            )
        case RenewalFailed():
            return Change(
                what="renewal_failed",
                who=who,
                details={
                    "reminder": event.reminder,
                    "amount_minor": event.amount_minor,
                    "grace_ends_at": event.grace_ends_at.isoformat(),
                },
            )
