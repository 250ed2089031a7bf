"""Publishes what billing has said once more: same ids, same subjects, same bytes."""

from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import nats.errors
from chassis.core_nats.client import CoreNats
from chassis.jetstream import publish_in_order, room_in
from chassis.provisioning import provision
from contracts.errors import UnavailableError
from contracts.subjects import BILLING_STREAM
from contracts.topology import CONSUMERS, STREAMS
from msgspec import Struct

from billing.messaging.outbox import OUTBOX
from billing.store.outbox import position_before_what_fits

BATCH: Final = 500
CONNECT_SECONDS: Final = 5.0
KEPT: Final = timedelta(days=90)
"""As long as the stream keeps what is published; whoever heard older things knows them for good."""


class Republished(Struct, frozen=True):
    """`last_position` is the last one published, None if there was none; `created` are streams and consumers."""

    published: int
    last_position: int | None
    created: list[str]


async def republish(connection: asyncpg.Connection, nats_url: str) -> Republished:
    """Make what is missing of the topology, then publish what the stream would have and has room for.

    Whoever hears it knows what it is about, and has no second effect; the relay's own position stays where it is.

    Raises:
        UnavailableError: NATS does not answer; what was published is harmless to publish again.
    """
    async with CoreNats(nats_url, service="operator") as client:
        if not await client.wait_connected(CONNECT_SECONDS):
            raise UnavailableError("NATS does not answer")
        last = await OUTBOX.load_newest(connection)
        published = 0
        try:
            created = await provision(client, STREAMS, CONSUMERS)
            room_bytes = await room_in(client, BILLING_STREAM)
            position = await position_before_what_fits(connection, datetime.now(UTC) - KEPT, room_bytes)
            while page := [entry for entry in await OUTBOX.load_after(connection, position, BATCH) if entry[0] <= last]:
                await publish_in_order(client, [message for _, message in page])
                published += len(page)
                position = page[-1][0]
        except nats.errors.Error as error:
            raise UnavailableError(f"published {published} events; then: {str(error) or repr(error)}") from error
    return Republished(published, position if published else None, created)
