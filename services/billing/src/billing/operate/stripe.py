"""The verbs that set Stripe up, and check that it is as it has to be."""

from chassis.operate.output import write_line

from billing.application.offers import load_offers
from billing.application.stripe_setup import StripeSetup, describe
from billing.domain.webhooks import NEEDED_EVENTS
from billing.operate.options import Show
from billing.operate.selling import open_stripe
from billing.settings import BillingSettings
from billing.stripe_api.client import StripeApi


async def stripe_setup(*, show: Show = None) -> None:
    """Makes prices, webhook endpoint and portal at Stripe as catalog and settings say; a second time, nothing."""
    async with open_stripe() as (settings, stripe):
        setup = _setup(settings, stripe)
        steps = await setup.steps()
        for step in steps:
            write_line(describe(step))
        if not show:
            for step in steps:
                write_line(await setup.carry_out(step))


async def stripe_check() -> int:
    """One line for each thing that has to be right at Stripe; exit 1 where one is not."""
    wrong = 0
    async with open_stripe() as (settings, stripe):
        async for checked in _setup(settings, stripe).check():
            write_line(checked)
            wrong += not checked.ok
    return 1 if wrong else 0


def _setup(settings: BillingSettings, stripe: StripeApi) -> StripeSetup:
    base = settings.buy_url.removesuffix("/buy")
    return StripeSetup(
        stripe=stripe,
        offers=load_offers(settings.catalog),
        endpoint_url=f"{base}/billing/webhook/stripe",
        home=settings.chat_url or settings.buy_url,
        events=NEEDED_EVENTS,
        livemode=settings.livemode,
        secrets=settings.webhook_secrets,
    )
