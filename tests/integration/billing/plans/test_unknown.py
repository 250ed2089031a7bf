"""A subscription that an order names and that is none of ours is not asked about again and again."""

import asyncio
import contextlib
from dataclasses import dataclass, field, fields

import asyncpg
import pytest
from billing.application import subscription_sweep
from billing.application.subscription_sweep import keep_looking
from billing.application.subscriptions import NotOursError, SubscriptionLooks
from billing.application.wiring import orders_of, stripe_of, subscriptions_of
from billing.domain.subscriptions import Subscription
from chassis.postgres import create_engine, disposed

from tests.support.billing import settings_for
from tests.support.eventually import eventually

ORDER = (
    "INSERT INTO billing.orders (id, version, kind, state, account_id, plan, tokens, amount_minor, currency, livemode,"
    " created_at, changed_at, subscription_id)"
    " VALUES ($1, 1, 'subscription', 'created', $1, 'basic', 1, 1, 'brl', false, now(), now(), $2)"
)


@dataclass(frozen=True, kw_only=True)
class _Looks(SubscriptionLooks):
    """Finds none of them to be ours."""

    asked: list[str] = field(default_factory=list)

    async def look_anew(self, subscription_id: str, *, who: str, cause: str | None = None) -> Subscription:
        self.asked.append(subscription_id)
        raise NotOursError("no order of ours asked for it")


async def test_what_is_none_of_ours_is_asked_about_once_while_others_are_found(
    own_url: str, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription_sweep, "SEARCH_SECONDS", 0.0)
    monkeypatch.setattr(subscription_sweep, "POLL_SECONDS", 0.01)
    settings = settings_for(own_url, nats_url, "http://127.0.0.1:1")
    engine, stripe = create_engine(own_url, service="billing"), stripe_of(settings)
    assert stripe is not None
    made = subscriptions_of(settings, orders_of(settings, engine, stripe), stripe)
    looks = _Looks(**{each.name: getattr(made, each.name) for each in fields(made)})
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(disposed(engine))
        await stack.enter_async_context(stripe)
        database = await asyncpg.connect(own_url, timeout=10)
        stack.push_async_callback(database.close)
        await database.execute(ORDER, "ord_foreign", "sub_foreign")
        sweeping = asyncio.create_task(keep_looking(engine, looks))
        try:
            await eventually(lambda: "sub_foreign" in looks.asked)
            for number in range(3):
                await database.execute(ORDER, f"ord_{number}", f"sub_{number}")
                await eventually(lambda: f"sub_{number}" in looks.asked)  # noqa: B023  waited for at once
        finally:
            sweeping.cancel()
            await asyncio.gather(sweeping, return_exceptions=True)
    assert sorted(looks.asked) == ["sub_0", "sub_1", "sub_2", "sub_foreign"]
