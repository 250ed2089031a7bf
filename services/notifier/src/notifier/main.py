"""Puts the notifier together."""

import asyncio
from datetime import timedelta
from functools import partial

from chassis.announcements import announce_dead_letters
from chassis.consumer import Consumer
from chassis.core_nats.client import CoreNats
from chassis.postgres import create_engine, disposed
from chassis.service import Service, Work, run
from contracts.purchase_links import MAIL_LINK_LIFETIME, PurchaseLinks
from contracts.subjects import (
    BILLING_STREAM,
    LEDGER_STREAM,
    NOTIFIER_BILLING_CONSUMER,
    NOTIFIER_LEDGER_CONSUMER,
    dead_letter,
)

from notifier.application.courier import Courier
from notifier.application.housekeeping import keep_measuring, keep_pruning
from notifier.application.outcomes import Outcomes
from notifier.application.sending import LEASE, Sender
from notifier.domain.outage import Outage
from notifier.domain.retries import RetryPolicy
from notifier.mail.rendering import MailStyle
from notifier.mail.smtp import send_mail
from notifier.mail.sold_names import SoldNames
from notifier.messaging import billing_events, ledger_events
from notifier.messaging.ledger_reads import LedgerReads
from notifier.messaging.queueing import Queue
from notifier.settings import NotifierSettings
from notifier.store.backlog import check_database
from notifier.store.tables import LETTERS, SERVICE


def assemble(settings: NotifierSettings, *, policy: RetryPolicy | None = None, lease: timedelta = LEASE) -> Service:
    """A notifier that stops by reading no more events, and lets the mails that are on their way end.

    Raises:
        CatalogError: the catalog can't be used.
    """
    engine = create_engine(settings.database_url, service=SERVICE)
    client = CoreNats(settings.nats_url, service=SERVICE)
    announcing = partial(announce_dead_letters, client, engine, LETTERS, dead_letter)
    policy = policy or RetryPolicy()
    server = settings.smtp_server
    courier = Courier(
        engine=engine,
        reads=LedgerReads(client),
        deliver=lambda write, recipient: send_mail(server, write, sender=settings.mail_from, recipient=recipient),
        style=_style(settings),
        outcomes=Outcomes(engine=engine, policy=policy),
        mail_server=Outage(policy),
        ledger=Outage(policy),
    )
    sender = Sender(engine=engine, courier=courier, at_once=settings.smtp_connections, lease=lease)

    def wake_when_due() -> None:
        asyncio.get_running_loop().call_later(settings.alert_window_seconds, sender.wake)

    queue = Queue(window=timedelta(seconds=settings.alert_window_seconds), on_queued=wake_when_due)
    consume = partial(Consumer, client, settings.nats_url, engine, LETTERS)
    of_ledger = consume(partial(ledger_events.hear, queue), stream=LEDGER_STREAM, durable=NOTIFIER_LEDGER_CONSUMER)
    of_billing = consume(partial(billing_events.hear, queue), stream=BILLING_STREAM, durable=NOTIFIER_BILLING_CONSUMER)
    return Service(
        settings=settings,
        port=settings.notifier_port,
        checks={
            "postgres": lambda: check_database(engine),
            "nats": client.check,
            "consumer": of_ledger.check,
            "billing_consumer": of_billing.check,
        },
        parts=[
            disposed(engine),
            client,
            Work(announcing, partial(keep_measuring, engine), partial(keep_pruning, engine)),
            Work(sender.run, stop=sender.stop),
            Work(of_ledger.run),
            Work(of_billing.run),
        ],
    )


def _style(settings: NotifierSettings) -> MailStyle:
    presentation = settings.presentation
    links = PurchaseLinks(page=presentation.purchase_url, keys=settings.link_key_bytes, lifetime=MAIL_LINK_LIFETIME)
    sold = SoldNames.of_catalog(settings.catalog)
    return MailStyle(mail_from=settings.mail_from, presentation=presentation, links=links, sold=sold)


main = partial(run, SERVICE, NotifierSettings, assemble)
