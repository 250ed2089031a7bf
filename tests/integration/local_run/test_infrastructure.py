"""The servers that every integration test stands on."""

import asyncpg
import nats
from chassis.jetstream import provision
from contracts.topology import CONSUMERS, STREAMS


async def test_postgres_is_durable_and_checks_its_pages(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        settings = {
            name: await connection.fetchval("SELECT current_setting($1)", name)
            for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums", "server_version_num")
        }
    finally:
        await connection.close()
    assert settings["server_version_num"].startswith("18")
    assert {settings[name] for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums")} == {"on"}


async def test_every_stream_of_the_topology_fits_the_server(nats_url: str) -> None:
    client = await nats.connect(nats_url)
    try:
        created = await provision(client.jetstream(), STREAMS, CONSUMERS)
    finally:
        await client.close()
    assert len(created) == len(STREAMS) + len(CONSUMERS)
