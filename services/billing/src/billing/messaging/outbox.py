"""What billing says as it is published, and the streams that it needs for that."""

from typing import Final

import asyncpg
from chassis import locks
from chassis.jetstream import Message
from chassis.outbox import Outbox
from contracts.accounts import subject_token
from contracts.subjects import event_subject

from billing.store.outbox import load_after, newest_position


async def _load_after(connection: asyncpg.Connection, position: int, limit: int) -> list[tuple[int, Message]]:
    return [(row["position"], _message(row)) for row in await load_after(connection, position, limit)]


def _message(row: asyncpg.Record) -> Message:
    subject = event_subject(row["name"], subject_token(row["account_id"]))
    return Message(subject, row["payload"], str(row["event_id"]))


OUTBOX: Final = Outbox(
    service="billing", leader_lock=locks.BILLING_RELAY, load_after=_load_after, load_newest=newest_position
)
