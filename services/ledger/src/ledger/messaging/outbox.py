"""The events as they are published: the event table is the ledger's outbox."""

from typing import Final

import asyncpg
from chassis import locks
from chassis.jetstream import Message
from chassis.outbox import Outbox
from contracts.accounts import subject_token
from contracts.envelope import name_of_any_version
from contracts.subjects import event_subject

from ledger.store.log import events_after, newest_position


def as_message(event: asyncpg.Record) -> Message:
    """A stored event as it is published, of whatever version: its bytes unchanged, its id as the message's."""
    subject = event_subject(name_of_any_version(event["type"]), subject_token(event["account_id"]))
    return Message(subject, event["data"], str(event["id"]))


async def _load_after(connection: asyncpg.Connection, position: int, limit: int) -> list[tuple[int, Message]]:
    return [(event["position"], as_message(event)) for event in await events_after(connection, position, limit)]


OUTBOX: Final = Outbox(service="ledger", leader_lock=locks.RELAY, load_after=_load_after, load_newest=newest_position)
