"""The verbs over dead letters: one is delivered again straight into the store, without NATS and SMTP."""

import contextlib
from datetime import timedelta
from typing import Final

from chassis.dead_letters import StoredLetter
from chassis.operate.dead_letters import LetterVerbs
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.notices import notice_of
from notifier.messaging.reading import read_event
from notifier.store.mails import requeue_mail
from notifier.store.notices import accept_notice
from notifier.store.tables import LETTERS, MAIL_CONSUMER


async def retry(connection: AsyncConnection, letter: StoredLetter) -> str | None:
    """Queue the letter's notice, or its mail once more; returns why it stays, unless that is raised as PoisonError."""
    if letter.consumer == MAIL_CONSUMER:
        requeued = await requeue_mail(connection, int(letter.message_id))
        return None if requeued else "its mail is not a failed one"
    event = read_event(letter.payload)
    await accept_notice(connection, event.id, notice_of(event), window=timedelta(0))
    return None


VERBS: Final = LetterVerbs(LETTERS, lambda: contextlib.nullcontext(retry))
