"""Puts billing together."""

from functools import partial

import structlog
from chassis.announcements import announce_dead_letters
from chassis.core_nats.client import CoreNats
from chassis.outbox import Relay
from chassis.postgres import create_engine, disposed
from chassis.server import serve
from chassis.service import Part, Service, Work, run
from contracts.subjects import dead_letter
from starlette.types import ASGIApp

from billing.application.housekeeping import keep_measuring
from billing.http.app import BillingApp
from billing.http.orders import order_routes
from billing.messaging.outbox import OUTBOX
from billing.settings import BillingSettings
from billing.store.backlog import check_database
from billing.store.tables import LETTERS, SERVICE

log = structlog.get_logger()


def assemble(settings: BillingSettings) -> Service:
    """Billing, which stops by taking no more requests; what it leaves undone is looked at anew after its next start."""
    engine = create_engine(settings.database_url, service=SERVICE)
    client = CoreNats(settings.nats_url, service=SERVICE)
    relay = Relay(settings.database_url, client, OUTBOX, _await_streams)
    announcing = partial(announce_dead_letters, client, engine, LETTERS, dead_letter)
    if not settings.sells:
        log.warning("purchases_off", reason="SOLARIS_STRIPE_API_KEY is not set")

    def edge(health: ASGIApp) -> Part:
        return serve(BillingApp([order_routes(engine)], health), settings.host, settings.billing_port)

    return Service(
        settings=settings,
        port=settings.billing_port,
        checks={"postgres": partial(check_database, engine), "nats": client.check},
        parts=[
            disposed(engine),
            client,
            Work(relay.run, announcing, partial(keep_measuring, engine)),
        ],
        edge=edge,
    )


async def _await_streams() -> None:
    """They are the ledger's to make, which does so at its start and whenever it meets a gap."""


main = partial(run, SERVICE, BillingSettings, assemble)
