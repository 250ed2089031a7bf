"""Publishes stored events to JetStream again: same ids, same subjects, same bytes."""

from typing import Final

import asyncpg
import nats.errors
from chassis.core_nats.client import CoreNats
from chassis.jetstream import MESSAGE_OVERHEAD_BYTES, publish_in_order, room_in
from chassis.provisioning import provision
from contracts.errors import UnavailableError
from contracts.subjects import LEDGER_STREAM
from contracts.topology import CONSUMERS, STREAMS
from msgspec import Struct

from ledger.messaging.outbox import as_message
from ledger.store.log import newest_position, rows_between, sizes_before

BATCH: Final = 500
CONNECT_SECONDS: Final = 5.0


class Republished(Struct, frozen=True):
    """`last_position` is the last one published, None if there was none; `created` are streams and consumers.

    `left_out_before`: events of the range before this position would have pushed others out of the stream.
    """

    published: int
    last_position: int | None
    created: list[str]
    left_out_before: int | None = None


async def republish(
    connection: asyncpg.Connection, nats_url: str, first: int, last: int, *, replicas: int = 1
) -> Republished:
    """Recreate what is missing of the topology, then publish positions `first` to `last` of what is stored now.

    Consumers know the ids and have no second effect; the relay's own position stays where it is. A stream gives up its
    oldest messages for newer ones, so the oldest of the range are left out where not all fits into what is free of it.

    Raises:
        UnavailableError: NATS does not answer; what was published is harmless to publish again.
    """
    async with CoreNats(nats_url, service="operator") as client:
        if not await client.wait_connected(CONNECT_SECONDS):
            raise UnavailableError("NATS does not answer")
        try:
            created = await provision(client, STREAMS, CONSUMERS, replicas=replicas)
            last = min(last, await newest_position(connection))
            start = await _first_that_fits(connection, first, last, await room_in(client, LEDGER_STREAM))
        except nats.errors.Error as error:
            raise UnavailableError(f"NATS: {str(error) or type(error).__name__}") from error
        published, position = await _publish(connection, client, start, last)
    return Republished(published, position, created, start if start > first else None)


async def _first_that_fits(connection: asyncpg.Connection, first: int, last: int, room: int) -> int:
    """The first position of the range from which on everything fits into that many bytes."""
    start = last + 1
    async for sizes in sizes_before(connection, first, last):
        for position, size in sizes:
            room -= size + MESSAGE_OVERHEAD_BYTES
            if room < 0:
                return start
            start = position
    return first


async def _publish(connection: asyncpg.Connection, client: CoreNats, first: int, last: int) -> tuple[int, int | None]:
    """How many were published, and the position of the last one."""
    published, position = 0, None
    async for rows in rows_between(connection, first, last, size=BATCH):
        messages = [as_message(row) for row in rows]
        try:
            await publish_in_order(client, messages)
        except nats.errors.Error as error:
            raise UnavailableError(
                f"published {published} events; then, from position {rows[0][0]}: {str(error) or repr(error)}"
            ) from error
        published += len(rows)
        position = rows[-1][0]
    return published, position
