"""Whoever leaves lets go of what it has claimed: nobody waits for the lease of one that is gone."""

import asyncio
from datetime import UTC, datetime, timedelta

from billing.application.webhooks import Followed, WebhookWorker
from billing.domain.webhooks import ReceivedEvent
from billing.store.webhook_events import claim, store_event
from chassis.postgres import create_engine, disposed


class Endless:
    """A `Follower` that is at it for ever."""

    def __init__(self) -> None:
        self.began = asyncio.Event()

    async def follow(self, event: ReceivedEvent) -> Followed | None:
        self.began.set()
        await asyncio.Event().wait()
        return None


async def test_an_event_that_a_worker_leaves_undone_is_due_at_once(migrated_url: str) -> None:
    engine = create_engine(migrated_url, service="billing")
    async with disposed(engine):
        await store_event(
            engine,
            event_id="evt_left",
            event_type="charge.refunded",
            livemode=False,
            happened_at=datetime.now(UTC),
            payload=b'{"data": {"object": {}}}',
        )
        endless = Endless()
        working = asyncio.create_task(WebhookWorker(engine=engine, followers=[endless]).run())
        await asyncio.wait_for(endless.began.wait(), 30)
        assert await claim(engine, at_most=8, lease=timedelta(minutes=2)) == []
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        (claimed,) = await claim(engine, at_most=8, lease=timedelta(minutes=2))
    assert (claimed.id, claimed.failures) == ("evt_left", 0)
