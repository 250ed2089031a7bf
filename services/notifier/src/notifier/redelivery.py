"""Lists dead letters, discards them, or delivers them again, straight into the store: without NATS and SMTP."""

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from chassis.operators import operator
from chassis.postgres import create_engine
from contracts.codec import encode
from contracts.deadletters import DeadLetter, Discarded
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain.notices import notice_of
from notifier.reading import UnreadableEventError, read_event
from notifier.store.dead_letters import discard, letter_id, load_dead_letters, lock_dead_letter, mark_retried
from notifier.store.mails import requeue_mail
from notifier.store.notices import accept_notice_within
from notifier.store.tables import MAIL_CONSUMER, SERVICE


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """What came of one redelivery; a letter that failed again stays, with its reason."""

    id: str
    redelivered: bool
    reason: str | None = None

    def as_json(self) -> str:
        return json.dumps(asdict(self))


async def load_listing(database_url: str) -> list[str]:
    """All dead letters as JSON lines, oldest first."""
    engine = create_engine(database_url, service="notifier-operate")
    try:
        async with engine.connect() as connection:
            rows = await load_dead_letters(connection)
    finally:
        await engine.dispose()
    return [encode(_dead_letter(row)).decode() for row in rows]


async def retry(database_url: str, number: int | None) -> list[Retried]:
    """Redeliver the named dead letter, or all that were not retried yet; each in a transaction of its own."""
    engine = create_engine(database_url, service="notifier-operate")
    try:
        async with engine.connect() as connection:
            rows = await load_dead_letters(connection, number)
        results: list[Retried] = []
        for row in rows:
            async with engine.begin() as connection:
                letter = await lock_dead_letter(connection, row.id)
                if letter is not None:
                    results.append(await _redeliver(connection, letter))
        return results
    finally:
        await engine.dispose()


async def discard_letter(database_url: str, number: int, reason: str) -> str | None:
    """Discard a dead letter that can never succeed; returns a JSON line, None when no such one waits."""
    engine = create_engine(database_url, service="notifier-operate")
    try:
        done = await discard(engine, number, by=operator(), reason=reason)
    finally:
        await engine.dispose()
    return json.dumps({"id": letter_id(number), "discarded": True}) if done else None


async def _redeliver(connection: AsyncConnection, letter: Row[Any]) -> Retried:
    name = letter_id(letter.id)
    if letter.consumer == MAIL_CONSUMER:
        if not await requeue_mail(connection, int(letter.message_id)):
            return Retried(id=name, redelivered=False, reason="its mail is not a failed one")
    else:
        try:
            event = read_event(letter.payload)
        except UnreadableEventError as error:
            return Retried(id=name, redelivered=False, reason=str(error))
        await accept_notice_within(connection, event.id, notice_of(event), window=timedelta(0))
    await mark_retried(connection, letter.id)
    return Retried(id=name, redelivered=True)


def _dead_letter(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        id=letter_id(row.id),
        service=SERVICE,
        consumer=row.consumer,
        subject=row.subject,
        reason=row.reason,
        failed_at=row.failed_at,
        retried_at=row.retried_at,
        discarded=_discarded(row),
        payload=row.payload.decode(errors="backslashreplace"),
    )


def _discarded(row: Row[Any]) -> Discarded | None:
    if row.discarded_at is None:
        return None
    return Discarded(at=row.discarded_at, by=row.discarded_by, reason=row.discard_reason)
