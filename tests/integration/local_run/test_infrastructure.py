"""The servers that every integration test stands on."""

import asyncpg
import nats
import pytest
from chassis.core_nats.client import CoreNats
from chassis.provisioning import provision
from contracts.subjects import NOTIFIER_LEDGER_CONSUMER, USAGE_STREAM
from contracts.topology import CONSUMERS, SECOND, STREAMS
from msgspec.structs import replace
from nats.js.errors import APIError


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


async def test_every_stream_of_the_topology_fits_the_server(core: CoreNats) -> None:
    created = await provision(core, STREAMS, CONSUMERS)
    assert len(created) == len(STREAMS) + len(CONSUMERS)


async def test_a_consumer_of_an_older_release_is_given_the_subjects_that_it_lacks_and_keeps_its_place(
    nats_url: str, core: CoreNats
) -> None:
    wanted = next(each for each in CONSUMERS if each.durable_name == NOTIFIER_LEDGER_CONSUMER)
    older = replace(wanted, filter_subjects=wanted.filter_subjects[:-1])
    client = await nats.connect(nats_url)
    try:
        jetstream = client.jetstream()
        await jetstream.delete_consumer(wanted.stream, wanted.durable_name)
        await provision(core, STREAMS, [older])
        subscription = await jetstream.pull_subscribe_bind(durable=wanted.durable_name, stream=wanted.stream)
        subjects = [pattern.replace("*", "ana") for pattern in wanted.filter_subjects]
        for subject in reversed(subjects):
            await jetstream.publish(subject, b"before")
        for message in await subscription.fetch(len(subjects) - 1, timeout=5):
            await message.ack_sync(timeout=5)
        assert await provision(core, STREAMS, CONSUMERS) == []
        await jetstream.publish(subjects[-1], b"after")
        (message,) = await subscription.fetch(1, timeout=5)
        assert (message.subject, message.data) == (subjects[-1], b"after")
        await message.ack_sync(timeout=5)
        info = await jetstream.consumer_info(wanted.stream, wanted.durable_name)
        assert set(info.config.filter_subjects or []) == set(wanted.filter_subjects)
    finally:
        await client.close()


async def test_a_full_stream_of_usage_refuses_what_is_new_though_an_older_release_made_it(
    nats_url: str, core: CoreNats
) -> None:
    usage = next(each for each in STREAMS if each.name == USAGE_STREAM)
    older = replace(usage, max_bytes=2_000, max_msg_size=1_500, discard="old")
    client = await nats.connect(nats_url)
    try:
        jetstream = client.jetstream()
        await jetstream.delete_stream(usage.name)
        await provision(core, [older], ())
        assert await provision(core, [usage], ()) == []
        first = await jetstream.publish("solaris.usage.recorded.ana", b"x" * 1_400)
        with pytest.raises(APIError, match="maximum bytes"):
            await jetstream.publish("solaris.usage.recorded.ana", b"y" * 1_400)
        kept = await jetstream.get_msg(usage.name, first.seq)
        assert kept.data == b"x" * 1_400
        limits = (await jetstream.stream_info(usage.name)).config
        assert (limits.max_bytes, limits.deny_delete, limits.deny_purge, limits.allow_atomic) == (
            2_000,
            True,
            True,
            True,
        )
    finally:
        await jetstream.delete_stream(usage.name)
        await client.close()


async def test_a_consumer_of_an_older_release_gets_its_times_and_bounds(nats_url: str, core: CoreNats) -> None:
    wanted = next(each for each in CONSUMERS if each.durable_name == NOTIFIER_LEDGER_CONSUMER)
    client = await nats.connect(nats_url)
    try:
        jetstream = client.jetstream()
        await provision(core, STREAMS, ())
        await jetstream.delete_consumer(wanted.stream, wanted.durable_name)
        await provision(core, STREAMS, [replace(wanted, ack_wait=77 * SECOND, max_ack_pending=7)])
        await provision(core, STREAMS, CONSUMERS)
        config = (await jetstream.consumer_info(wanted.stream, wanted.durable_name)).config
        assert (config.ack_wait, config.max_ack_pending) == (wanted.ack_wait / SECOND, wanted.max_ack_pending)
    finally:
        await client.close()
