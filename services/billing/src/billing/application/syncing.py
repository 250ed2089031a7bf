"""Fetches what was missed of Stripe's, and holds all that Stripe has against all that stands here."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import batched
from typing import Final

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.comparing import Comparing
from billing.application.webhooks import WebhookWorker
from billing.domain.webhooks import NEEDED_EVENTS
from billing.store.syncing import count_waiting, live_subscriptions, orders_since
from billing.store.webhook_events import store_event
from billing.stripe_api.client import StripeApi
from billing.stripe_api.past import (
    PastSubscription,
    past_checkouts,
    past_disputes,
    past_events,
    past_refunds,
    past_subscriptions,
    past_warnings,
)

HANDLE_SECONDS: Final = 120.0
"""So long events that were missed may take to be handled; what is left then is the service's."""
POLL_SECONDS: Final = 0.2
ASKED_AT_ONCE: Final = 1_000


class Done(Struct, frozen=True, kw_only=True):
    """What a sync found, and did: orders and subscriptions `looked_at`, of which some `changed`.

    `foreign` are others' of the same account of Stripe's.
    """

    since: datetime
    events_seen: int
    events_missed: int
    events_waiting: int
    checkouts: int
    subscriptions: int
    refunds: int
    disputes: int
    warnings: int
    foreign: int
    looked_at: int
    changed: int


@dataclass(frozen=True, kw_only=True)
class Syncing:
    """`worker` handles the events that were missed as it does those that are delivered."""

    engine: AsyncEngine
    stripe: StripeApi
    comparing: Comparing
    worker: WebhookWorker
    livemode: bool

    async def sync(self, since: datetime) -> Done:
        """Fetch and compare; each difference that is left is told to `comparing.told`. Twice changes nothing.

        Raises:
            StripeError: Stripe does not answer; what was done stays, and the same again goes on.
        """
        seen, missed = await self._fetch_events(since)
        waiting = await self._handle(missed)
        checkouts, subscriptions, refunds, disputes, warnings = 0, 0, 0, 0, 0
        async for page in past_checkouts(self.stripe, since):
            checkouts += len(page)
            for checkout in page:
                await self.comparing.checkout(checkout)
        async for subscribed in past_subscriptions(self.stripe, since):
            subscriptions += len(subscribed)
            for subscription in subscribed:
                await self.comparing.subscription(subscription)
        for subscription_id in await live_subscriptions(self.engine):
            if subscription_id not in self.comparing.looked_at:
                await self.comparing.subscription(PastSubscription(id=subscription_id, order_id=None))
        async for refunded in past_refunds(self.stripe, since):
            refunds += len(refunded)
            for refund in refunded:
                await self.comparing.part(
                    refund.facts, payment_intent_id=refund.payment_intent_id, order_id=refund.order_id
                )
        async for disputed in past_disputes(self.stripe, since):
            disputes += len(disputed)
            for dispute in disputed:
                await self.comparing.part(dispute.facts, payment_intent_id=dispute.payment_intent_id)
        async for warned in past_warnings(self.stripe, since):
            warnings += len(warned)
            for warning in warned:
                await self.comparing.warning(warning)
        async for order_ids in orders_since(self.engine, since, livemode=self.livemode):
            for order_id in order_ids:
                await self.comparing.order(order_id)
        await self.comparing.doubts()
        await self.comparing.in_vain(since)
        return Done(
            since=since,
            events_seen=seen,
            events_missed=len(missed),
            events_waiting=waiting,
            checkouts=checkouts,
            subscriptions=subscriptions,
            refunds=refunds,
            disputes=disputes,
            warnings=warnings,
            foreign=len(self.comparing.foreign),
            looked_at=len(self.comparing.looked_at),
            changed=len(self.comparing.changed),
        )

    async def _fetch_events(self, since: datetime) -> tuple[int, list[str]]:
        """How many of ours there are, and the ids of those that never came; they are stored as if they had.

        Whatever else happens in the same account of Stripe's names people who are none of ours.
        """
        seen, missed = 0, []
        async for page in past_events(self.stripe, since):
            for event in page:
                if event.livemode != self.livemode or event.type not in NEEDED_EVENTS:
                    continue
                seen += 1
                if await store_event(
                    self.engine,
                    event_id=event.id,
                    event_type=event.type,
                    livemode=event.livemode,
                    happened_at=event.happened_at,
                    payload=event.payload,
                ):
                    missed.append(event.id)
        return seen, missed

    async def _handle(self, event_ids: Sequence[str]) -> int:
        """Have the worker handle these, within bounds; how many are left."""
        working = asyncio.create_task(self.worker.run())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HANDLE_SECONDS):
                    while True:
                        if not await self._count_waiting(event_ids):
                            return 0
                        # Others may handle them as well: there is nothing here to wait on but the table.
                        await asyncio.sleep(POLL_SECONDS)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        return await self._count_waiting(event_ids)

    async def _count_waiting(self, event_ids: Sequence[str]) -> int:
        return sum([await count_waiting(self.engine, ids) for ids in batched(event_ids, ASKED_AT_ONCE)])
