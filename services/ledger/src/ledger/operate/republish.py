"""Publishes stored events to JetStream again: same ids, same subjects, same bytes."""

import asyncio
from typing import Final

import asyncpg
import nats.errors
from chassis.core_nats.client import CoreNats
from chassis.jetstream import Message, PublishRejectedError, provision, publish_in_order
from chassis.nats import connect
from contracts.accounts import subject_token
from contracts.envelope import name_of_any_version
from contracts.errors import UnavailableError
from contracts.subjects import event_subject
from contracts.topology import CONSUMERS, STREAMS
from msgspec import Struct
from nats.aio.client import Client

from ledger.store.log import rows_between

BATCH: Final = 500
CONNECT_SECONDS: Final = 5.0
PROVISION_TIMEOUT_SECONDS: Final = 10.0


class Republished(Struct, frozen=True):
    """`last_position` is the last one published, None if there was none; `created` are streams and consumers."""

    published: int
    last_position: int | None
    created: list[str]


async def republish(
    connection: asyncpg.Connection, nats_url: str, first: int, last: int, *, replicas: int = 1
) -> Republished:
    """Recreate what is missing of the topology, then publish positions `first` to `last` of what is stored now.

    Consumers know the ids and have no second effect; the relay's own position stays where it is.

    Raises:
        UnavailableError: NATS does not answer; what was published is harmless to publish again.
    """
    client = await _connect(nats_url)
    try:
        created = await provision(
            client.jetstream(timeout=PROVISION_TIMEOUT_SECONDS), STREAMS, CONSUMERS, replicas=replicas
        )
        async with CoreNats(nats_url, service="ledger-operate") as core:
            if not await core.wait_connected(CONNECT_SECONDS):
                raise UnavailableError("NATS does not answer")
            return await _publish(connection, core, first, last, created)
    except nats.errors.Error as error:
        raise UnavailableError(f"NATS: {str(error) or type(error).__name__}") from error
    finally:
        await client.close()


async def _publish(
    connection: asyncpg.Connection, client: CoreNats, first: int, last: int, created: list[str]
) -> Republished:
    published, position = 0, None
    newest = await connection.fetchval("SELECT coalesce(max(position), 0) FROM ledger.events")
    async with connection.transaction(readonly=True):
        async for rows in rows_between(connection, first, min(last, newest), size=BATCH):
            messages = [
                Message(event_subject(name_of_any_version(row[4]), subject_token(row[1])), row[6], str(row[3]))
                for row in rows
            ]
            try:
                await publish_in_order(client, messages)
            except (PublishRejectedError, nats.errors.Error, TimeoutError) as error:
                raise UnavailableError(
                    f"published {published} events; then, from position {rows[0][0]}: {str(error) or repr(error)}"
                ) from error
            published += len(rows)
            position = rows[-1][0]
    return Republished(published, position, created)


async def _connect(nats_url: str) -> Client:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await connect(nats_url, service="ledger-operate")
    except (OSError, TimeoutError, nats.errors.Error) as error:
        raise UnavailableError(f"NATS does not answer: {str(error) or type(error).__name__}") from error
