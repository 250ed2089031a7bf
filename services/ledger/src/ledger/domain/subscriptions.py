"""What an account knows of its subscriptions: which plan each gives, and how far billing's word on it was heard."""

from datetime import datetime
from typing import Final

from contracts.events.accounts import SubscriptionChanged
from msgspec import Struct

MAX_KNOWN: Final = 8
"""More than one is live by accident alone; of the others, what is known tells late messages from new ones."""


class Subscription(Struct, frozen=True):
    """One subscription; `plan` None: it gives none any more. The period is the last one that was paid, if known."""

    id: str
    revision: int
    plan: str | None = None
    period_starts_at: datetime | None = None
    period_ends_at: datetime | None = None


def find_subscription(subscriptions: tuple[Subscription, ...], subscription_id: str) -> Subscription | None:
    return next((known for known in subscriptions if known.id == subscription_id), None)


def ruling(subscriptions: tuple[Subscription, ...]) -> Subscription | None:
    """The one whose plan the account has: of those that give one, the one whose paid period started last."""
    live = [known for known in reversed(subscriptions) if known.plan is not None]
    return max(live, key=_period, default=None)


def changed(
    subscriptions: tuple[Subscription, ...], forgotten_until: datetime | None, event: SubscriptionChanged
) -> tuple[tuple[Subscription, ...], datetime | None]:
    """What is known after the event, in the order in which each was first told of; the oldest of too many goes.

    One that gives no plan goes before one that does. Of those that went no period started after `forgotten_until`.
    """
    before = find_subscription(subscriptions, event.subscription_id)
    period = (event.period_starts_at, event.period_ends_at)
    if event.period_starts_at is None and before is not None:
        period = (before.period_starts_at, before.period_ends_at)
    after = Subscription(event.subscription_id, event.revision, event.plan, *period)
    if before is not None:
        return tuple(after if known is before else known for known in subscriptions), forgotten_until
    if len(subscriptions) >= MAX_KNOWN:
        oldest = next((known for known in subscriptions if known.plan is None), subscriptions[0])
        subscriptions = tuple(known for known in subscriptions if known is not oldest)
        starts = [moment for moment in (forgotten_until, oldest.period_starts_at) if moment is not None]
        forgotten_until = max(starts, default=None)
    return (*subscriptions, after), forgotten_until


def _period(known: Subscription) -> datetime:
    assert known.period_starts_at is not None, "a plan is given for a period"
    return known.period_starts_at
