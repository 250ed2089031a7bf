"""The verbs over dead letters: one is delivered again straight into the store, without NATS and SMTP."""

import contextlib
from datetime import timedelta
from typing import Final

from chassis.dead_letters import StoredLetter
from chassis.delivery import Delivery
from chassis.operate.dead_letters import LetterVerbs
from contracts.subjects import NOTIFIER_BILLING_CONSUMER
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.messaging import billing_events, ledger_events
from notifier.messaging.queueing import Queue
from notifier.store.mails import requeue_mail
from notifier.store.tables import LETTERS, MAIL_CONSUMER

_AT_ONCE: Final = Queue(window=timedelta(0))


async def retry(connection: AsyncConnection, letter: StoredLetter) -> str | None:
    """Queue the letter's notice, or its mail once more; returns why it stays, unless that is raised as PoisonError."""
    if letter.consumer == MAIL_CONSUMER:
        requeued = await requeue_mail(connection, int(letter.message_id))
        return None if requeued else "its mail is not a failed one"
    hear = billing_events.hear if letter.consumer == NOTIFIER_BILLING_CONSUMER else ledger_events.hear
    await hear(_AT_ONCE, connection, Delivery(letter.subject, letter.payload))
    return None


VERBS: Final = LetterVerbs(LETTERS, lambda: contextlib.nullcontext(retry))
