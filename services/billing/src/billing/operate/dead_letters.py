"""The verbs over dead letters: an event of Stripe's is put back among those that wait."""

import contextlib
from typing import Final

from chassis.dead_letters import StoredLetter
from chassis.operate.dead_letters import LetterVerbs
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.store.tables import LETTERS, WEBHOOK_CONSUMER
from billing.store.webhook_events import requeue


async def retry(connection: AsyncConnection, letter: StoredLetter) -> str | None:
    """Have the worker handle the event again, with all its attempts before it; returns why it stays."""
    if letter.consumer != WEBHOOK_CONSUMER:
        return f"nothing here retries letters of {letter.consumer}"
    if not letter.payload:
        return "what it said was erased with its person"
    requeued = await requeue(connection, letter.message_id, letter.payload)
    return None if requeued else "its event is not one that was given up"


VERBS: Final = LetterVerbs(LETTERS, lambda: contextlib.nullcontext(retry))
