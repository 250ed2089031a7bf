"""Looks at subscriptions when their time has come: what ends or fails by time alone is told by nobody."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog
from chassis.postgres import DATABASE_ERRORS
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.blame import is_outage
from billing.application.errors import BillingError
from billing.application.subscriptions import NotOursError, SubscriptionLooks
from billing.store.subscriptions import claim_due, find_unknown, look_later
from billing.stripe_api.errors import StripeError, StripeRefusedError

BATCH: Final = 20
LEASE: Final = timedelta(minutes=2)
"""Longer than a look takes; whoever took one and died leaves it to others after this."""
REFUSED_WAIT: Final = timedelta(days=1)
POLL_SECONDS: Final = 1.0
SEARCH_SECONDS: Final = 10.0
"""Orders that name a subscription of which nothing is known are searched for so often."""
UNKNOWN_WAIT_SECONDS: Final = 600.0
"""So long one of which a look found that it is none of ours is left alone; an outage says nothing of that."""
WHO: Final = "sweep"

log = structlog.get_logger()


async def keep_looking(engine: AsyncEngine, looks: SubscriptionLooks) -> None:
    """Look at what is due, one after the other, until cancelled."""
    loop = asyncio.get_running_loop()
    searched_at = -SEARCH_SECONDS
    resting: dict[str, float] = {}
    while True:
        try:
            due = await claim_due(engine, limit=BATCH, lease=LEASE)
            if loop.time() - searched_at >= SEARCH_SECONDS:
                searched_at = loop.time()
                resting = {each: until for each, until in resting.items() if until > searched_at}
                due += await find_unknown(engine, limit=BATCH, but_not=resting)
        except DATABASE_ERRORS as error:
            log.warning("subscriptions_not_swept", error=type(error).__name__)
            due = []
        for subscription_id in due:
            try:
                if not await _look(looks, subscription_id):
                    resting[subscription_id] = loop.time() + UNKNOWN_WAIT_SECONDS
            except Exception as error:  # it stays due, after its lease, and keeps no other waiting
                told = log.warning if is_outage(error) else log.error
                told("subscription_not_looked_at", subscription_id=subscription_id, error=repr(error)[:500])
        if len(due) < BATCH:
            await asyncio.sleep(POLL_SECONDS)


async def _look(looks: SubscriptionLooks, subscription_id: str) -> bool:
    """False where Stripe has it not, or not as ours: asking often does not help."""
    try:
        await looks.look_anew(subscription_id, who=WHO)
    except (StripeRefusedError, NotOursError) as error:
        # It belongs to another account or mode of Stripe's, say.
        log.warning("subscription_not_looked_at", subscription_id=subscription_id, error=repr(error))
        await look_later(looks.engine, subscription_id, REFUSED_WAIT)
        return False
    except (StripeError, BillingError) as error:  # it stays due, after its lease
        log.warning("subscription_not_looked_at", subscription_id=subscription_id, error=repr(error))
    return True
