"""The verb that fetches what was missed of Stripe's, and compares."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from chassis.operate.errors import BadInputError, RefusedError
from chassis.operate.output import write_line

from billing.application.comparing import Comparing
from billing.application.syncing import Syncing
from billing.application.webhooks import WebhookWorker
from billing.application.wiring import followers_of, subscriptions_of
from billing.domain.reconciliation import Difference
from billing.operate.options import FirstDay
from billing.operate.selling import PURCHASES_OFF, open_selling

KEPT_BY_STRIPE: Final = timedelta(days=30)


async def billing_sync(*, first_day: FirstDay = None) -> int:
    """Fetches missed events, follows them, and holds Stripe against the orders; exit 1 on what nobody can explain."""
    differences = 0

    def tell(difference: Difference) -> None:
        nonlocal differences
        differences += 1
        write_line(difference)

    async with open_selling() as selling:
        if selling.stripe is None:
            raise RefusedError(PURCHASES_OFF)
        since = _since(first_day, ZoneInfo(selling.settings.time_zone))
        subscriptions = subscriptions_of(selling.settings, selling.looks, selling.stripe)
        followers = followers_of(selling.looks, subscriptions)
        syncing = Syncing(
            engine=selling.engine,
            stripe=selling.stripe,
            comparing=Comparing(engine=selling.engine, looks=selling.looks, subscriptions=subscriptions, told=tell),
            worker=WebhookWorker(engine=selling.engine, followers=followers),
            livemode=selling.settings.livemode,
        )
        done = await syncing.sync(since)
    write_line(done)
    if done.events_waiting:
        raise RefusedError(f"{done.events_waiting} events are not handled yet; the service goes on with them")
    return 1 if differences else 0


def _since(first_day: date | None, zone: ZoneInfo) -> datetime:
    now = datetime.now(UTC)
    if first_day is None:
        return now - KEPT_BY_STRIPE
    since = datetime.combine(first_day, time.min, zone).astimezone(UTC)
    if since > now:
        raise BadInputError("FROM: that day has not begun")
    return since
