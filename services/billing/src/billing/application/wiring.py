"""What the service and its operators' verbs are both made of, from the same settings."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from billing.application.following import OrderFollower
from billing.application.looking import OrderLooks
from billing.application.offers import load_plans
from billing.application.subscription_following import SubscriptionFollower
from billing.application.subscriptions import SubscriptionLooks
from billing.application.webhooks import Follower
from billing.domain.entitlement import PlanRules
from billing.settings import BillingSettings
from billing.stripe_api.client import StripeApi


def stripe_of(settings: BillingSettings) -> StripeApi | None:
    """The connection to Stripe; None where purchases are off."""
    if not settings.sells:
        return None
    key = settings.stripe_api_key.get_secret_value().strip()
    return StripeApi(key, base=settings.stripe_api_base, seconds=settings.stripe_seconds)


def orders_of(
    settings: BillingSettings, engine: AsyncEngine, stripe: StripeApi | None, on_said: Callable[[], None] = lambda: None
) -> OrderLooks:
    """What looks at orders anew."""
    again_after = timedelta(seconds=settings.sweep_seconds)
    return OrderLooks(engine=engine, stripe=stripe, again_after=again_after, on_said=on_said)


def subscriptions_of(settings: BillingSettings, orders: OrderLooks, stripe: StripeApi) -> SubscriptionLooks:
    """What looks at subscriptions anew.

    Raises:
        CatalogError: the catalog can't be used.
    """
    prices, monthly_tokens = load_plans(settings.catalog)
    return SubscriptionLooks(
        engine=orders.engine,
        stripe=stripe,
        orders=orders,
        prices=prices,
        rules=PlanRules(monthly_tokens=monthly_tokens, grace=timedelta(days=settings.renewal_grace_days)),
        longest_wait=timedelta(seconds=settings.subscription_sweep_seconds),
        on_said=orders.on_said,
    )


def followers_of(orders: OrderLooks, subscriptions: SubscriptionLooks | None) -> Sequence[Follower]:
    """Whatever Stripe's events may be about; orders first, whose payment a subscription's first look needs."""
    of_orders = OrderFollower(engine=orders.engine, stripe=orders.stripe, looks=orders)
    if subscriptions is None:
        return [of_orders]
    return [of_orders, SubscriptionFollower(engine=orders.engine, looks=subscriptions)]
