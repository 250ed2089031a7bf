"""Puts billing together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

import structlog
from chassis.announcements import announce_dead_letters
from chassis.core_nats.client import CoreNats
from chassis.outbox import Relay
from chassis.postgres import create_engine, disposed
from chassis.server import serve
from chassis.service import Part, Service, Work, run
from contracts.subjects import dead_letter
from fastapi import APIRouter
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import ASGIApp

from billing.application.checkouts import Checkouts
from billing.application.customers import Customers
from billing.application.housekeeping import keep_measuring, keep_pruning
from billing.application.looking import OrderLooks
from billing.application.offers import load_offers
from billing.application.placing import Placing
from billing.application.portal import Portal
from billing.application.redeeming import Redeeming
from billing.application.saving_cards import SavingCards
from billing.application.subscription_sweep import keep_looking
from billing.application.subscriptions import SubscriptionLooks
from billing.application.sweeping import Sweeper
from billing.application.top_up_settings import TopUpSettings
from billing.application.top_up_watch import TopUpWatch
from billing.application.top_ups import TopUps
from billing.application.webhooks import WebhookWorker
from billing.application.wiring import followers_of, orders_of, stripe_of, subscriptions_of
from billing.domain.offers import Offers
from billing.http.app import BillingApp
from billing.http.callers import Callers
from billing.http.orders import order_routes
from billing.http.pages.app import make_pages, pages_app
from billing.http.pages.buying import BuyPages
from billing.http.pages.orders import OrderPages
from billing.http.purchases import offer_routes, purchase_routes
from billing.http.redeeming import redeem_routes
from billing.http.subscriptions import portal_routes, subscribe_routes
from billing.http.top_ups import top_up_routes
from billing.http.webhook import WebhookIntake
from billing.http.wishes import Wishes
from billing.messaging.balance_changes import BalanceChanges
from billing.messaging.ledger_reads import fetch_arrival, fetch_left
from billing.messaging.outbox import OUTBOX
from billing.settings import BillingSettings
from billing.store.backlog import check_database
from billing.store.tables import LETTERS, SERVICE
from billing.stripe_api.client import StripeApi

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Purchases:
    """What billing has where purchases are on, and else has none of."""

    placing: Placing | None = None
    portal: Portal | None = None
    cards: SavingCards | None = None
    top_ups: TopUpSettings | None = None
    parts: Sequence[Part] = ()


def assemble(settings: BillingSettings) -> Service:
    """Billing, which stops by taking no more requests; what it leaves undone is looked at anew after its next start.

    Raises:
        CatalogError: the catalog can't be used.
    """
    offers = load_offers(settings.catalog)
    engine = create_engine(settings.database_url, service=SERVICE)
    client = CoreNats(settings.nats_url, service=SERVICE)
    relay = Relay(settings.database_url, client, OUTBOX, _await_streams)
    stripe = _stripe(settings)
    looks = orders_of(settings, engine, stripe, relay.nudge)
    subscriptions = None if stripe is None else subscriptions_of(settings, looks, stripe)
    followers = followers_of(looks, subscriptions)
    worker = WebhookWorker(engine=engine, followers=followers)
    intake = WebhookIntake(
        engine=engine,
        secrets=tuple(settings.webhook_secrets) if settings.sells else (),
        livemode=settings.livemode,
        on_stored=worker.wake,
    )
    purchases = Purchases() if stripe is None else _purchases(settings, offers, looks, stripe, worker)
    by_time = () if subscriptions is None else _by_time(settings, offers, subscriptions, client)
    redeeming = _redeeming(settings, offers, looks)
    routers = [*_api(settings, offers, looks, purchases, redeeming), intake.routes()]
    pages = _pages(settings, offers, client, looks=looks, placing=purchases.placing, redeeming=redeeming)

    def edge(health: ASGIApp) -> Part:
        app, proxies = BillingApp(routers, pages, health), settings.trusted_proxies
        return serve(app, settings.host, settings.billing_port, forwarded_allow_ips=proxies)

    payload_days = timedelta(days=settings.webhook_payload_days)
    return Service(
        settings=settings,
        port=settings.billing_port,
        checks={"postgres": partial(check_database, engine), "nats": client.check},
        parts=[
            disposed(engine),
            client,
            Work(
                relay.run,
                partial(announce_dead_letters, client, engine, LETTERS, dead_letter),
                partial(keep_measuring, engine),
                partial(keep_pruning, engine, keep_payloads=payload_days),
            ),
            *purchases.parts,
            Work(Sweeper(engine=engine, looks=looks).run),  # what operators and vouchers give needs no Stripe
            *by_time,
        ],
        edge=edge,
    )


def _stripe(settings: BillingSettings) -> StripeApi | None:
    if not settings.sells:
        log.warning("purchases_off", reason="SOLARIS_STRIPE_API_KEY is not set")
    elif not settings.webhook_secrets:
        log.warning("webhooks_refused", reason="SOLARIS_STRIPE_WEBHOOK_SECRETS is not set; orders are only swept")
    return stripe_of(settings)


def _purchases(
    settings: BillingSettings, offers: Offers, looks: OrderLooks, stripe: StripeApi, worker: WebhookWorker
) -> Purchases:
    engine: AsyncEngine = looks.engine
    home = settings.chat_url or settings.buy_url
    customers = Customers(engine=engine, stripe=stripe, livemode=settings.livemode)
    checkouts = Checkouts(
        engine=engine,
        stripe=stripe,
        customers=customers,
        looks=looks,
        livemode=settings.livemode,
        lifetime=timedelta(minutes=settings.checkout_minutes),
        order_page=f"{settings.buy_url}/order",
    )
    placing = Placing(engine=engine, offers=offers, checkouts=checkouts, look_after=looks.again_after)
    return Purchases(
        placing=placing,
        portal=Portal(engine=engine, stripe=stripe, livemode=settings.livemode, home=home),
        cards=SavingCards(stripe=stripe, customers=customers, home=home),
        top_ups=TopUpSettings(engine=engine, offers=offers),
        parts=[stripe, Work(worker.run, stop=worker.stop)],
    )


def _api(
    settings: BillingSettings, offers: Offers, looks: OrderLooks, purchases: Purchases, redeeming: Redeeming
) -> list[APIRouter]:
    callers = Callers(service_keys=settings.service_keys, link_keys=settings.link_key_bytes)
    wishes = Wishes(purchases.placing, callers, default_locale=settings.locale)
    return [
        offer_routes(offers, sells=settings.sells),
        purchase_routes(wishes),
        subscribe_routes(wishes),
        portal_routes(purchases.portal, callers, default_locale=settings.locale),
        top_up_routes(purchases.top_ups, purchases.cards, callers, default_locale=settings.locale),
        order_routes(looks, callers),
        redeem_routes(redeeming, callers),
    ]


def _pages(
    settings: BillingSettings,
    offers: Offers,
    client: CoreNats,
    *,
    looks: OrderLooks,
    placing: Placing | None,
    redeeming: Redeeming,
) -> ASGIApp:
    pages = make_pages(settings.presentation, settings.checkout_targets, settings.chat_url)
    keys = settings.link_key_bytes
    return pages_app(
        pages,
        BuyPages(pages, offers, keys, placing=placing, redeeming=redeeming),
        OrderPages(pages, offers, keys, looks, partial(fetch_arrival, client)),
    )


def _by_time(
    settings: BillingSettings, offers: Offers, subscriptions: SubscriptionLooks, client: CoreNats
) -> Sequence[Part]:
    """What happens without anybody asking for it: subscriptions end and renew, low balances are topped up."""
    engine = subscriptions.engine
    top_ups = TopUps(
        engine=engine,
        stripe=subscriptions.stripe,
        orders=subscriptions.orders,
        offers=offers,
        fetch_left=partial(fetch_left, client),
        zone=ZoneInfo(settings.time_zone),
        cool_down=timedelta(seconds=settings.top_up_cool_down_seconds),
        livemode=settings.livemode,
    )
    watch = TopUpWatch(
        engine=engine,
        top_ups=top_ups,
        changed_of=BalanceChanges(client).of,
        again_after=timedelta(seconds=settings.top_up_sweep_seconds),
    )
    return [Work(partial(keep_looking, engine, subscriptions), watch.run)]


def _redeeming(settings: BillingSettings, offers: Offers, looks: OrderLooks) -> Redeeming:
    return Redeeming(
        engine=looks.engine,
        looks=looks,
        time_zone=ZoneInfo(settings.time_zone),
        currency=offers.first_currency,
        livemode=settings.livemode,
    )


async def _await_streams() -> None:
    """They are the ledger's to make, which does so at its start and whenever it meets a gap."""


main = partial(run, SERVICE, BillingSettings, assemble)
