"""With every stream deleted, the stored events are published again as they were."""

from collections.abc import AsyncIterator

import asyncpg
import nats
import pytest_asyncio
from contracts.accounts import subject_token
from contracts.subjects import LEDGER_STREAM
from contracts.topology import CONSUMERS, STREAMS
from nats.aio.client import Client

from tests.support.infrastructure import wipe_streams
from tests.support.ledger_operate import Operate


@pytest_asyncio.fixture
async def client(nats_url: str) -> AsyncIterator[Client]:
    client = await nats.connect(nats_url, connect_timeout=5)
    yield client
    await client.close()


async def _published(client: Client) -> list[tuple[str, str, bytes]]:
    """(subject, message id, payload) of every message of the stream, in its order."""
    jetstream = client.jetstream(timeout=10)
    state = (await jetstream.stream_info(LEDGER_STREAM)).state
    found = []
    for sequence in range(state.first_seq, state.last_seq + 1):
        message = await jetstream.get_msg(LEDGER_STREAM, sequence)
        assert message.headers is not None
        found.append((message.subject or "", message.headers["Nats-Msg-Id"], message.data or b""))
    return found


async def test_streams_are_made_anew_and_every_event_is_published_once_more(
    operate: Operate, database: asyncpg.Connection, nats_url: str, client: Client
) -> None:
    await operate("credit", new=1, account="dotted.name", tokens=3, reason="r")
    await database.execute("INSERT INTO ledger.relay (name, position) VALUES ('kept', 7)")
    await wipe_streams(nats_url)
    rows = await database.fetch("SELECT * FROM ledger.events ORDER BY position")
    ran = await operate("republish", environment={"SOLARIS_NATS_URL": nats_url})
    assert (ran.code, ran.err) == (0, "")
    assert (ran.json["published"], ran.json["last_position"]) == (len(rows), rows[-1]["position"])
    assert set(ran.json["created"]) == {stream.name for stream in STREAMS} | {
        f"{consumer.stream}/{consumer.durable_name}" for consumer in CONSUMERS
    }
    expected = []
    for row in rows:
        name = row["type"].removeprefix("solaris.").removesuffix(".v1")
        expected.append((f"solaris.{name}.{subject_token(row['account_id'])}", str(row["id"]), row["data"]))
    assert await _published(client) == expected
    assert await database.fetchval("SELECT position FROM ledger.relay WHERE name = 'kept'") == 7


async def test_a_second_time_publishes_nothing_twice_within_the_window(
    operate: Operate, database: asyncpg.Connection, nats_url: str, client: Client
) -> None:
    environment = {"SOLARIS_NATS_URL": nats_url}
    await operate("republish", environment=environment, from_=1, to=40)
    before = await _published(client)
    again = await operate("republish", environment=environment, from_=1, to=40)
    assert (again.json["published"], again.json["created"]) == (40, [])
    assert await _published(client) == before


async def test_only_the_range_asked_for_is_published(operate: Operate, nats_url: str, client: Client) -> None:
    await wipe_streams(nats_url)
    ran = await operate("republish", environment={"SOLARIS_NATS_URL": nats_url}, from_=100, to=110)
    assert (ran.json["published"], ran.json["last_position"]) == (11, 110)
    assert len(await _published(client)) == 11


async def test_no_more_is_published_than_the_stream_may_hold_and_that_is_told(
    operate: Operate, database: asyncpg.Connection, nats_url: str, client: Client
) -> None:
    await wipe_streams(nats_url)
    jetstream = client.jetstream(timeout=10)
    await jetstream.add_stream(name=LEDGER_STREAM, subjects=["solaris.ledger.>"], max_bytes=300_000, allow_atomic=True)
    ran = await operate("republish", environment={"SOLARIS_NATS_URL": nats_url})
    assert ran.code == 0
    told = ran.json
    total, last = await database.fetchrow("SELECT count(*), max(position) FROM ledger.events") or (0, 0)
    assert 100 < told["published"] < total
    assert told["last_position"] == last
    assert str(told["left_out_before"]) in ran.err
    state = (await jetstream.stream_info(LEDGER_STREAM)).state
    assert (state.messages, state.first_seq) == (told["published"], 1)
    # Full as it is now, it takes a small range all the same, and little of a large one.
    again = await operate("republish", environment={"SOLARIS_NATS_URL": nats_url}, from_=1, to=10)
    assert (again.json["published"], again.json["left_out_before"]) == (10, None)
    assert (await operate("republish", environment={"SOLARIS_NATS_URL": nats_url})).json["published"] < 100


async def test_without_nats_it_fails_in_one_line(operate: Operate) -> None:
    (await operate("republish")).assert_refused(2)
    (await operate("republish", environment={"SOLARIS_NATS_URL": "nats://127.0.0.1:1"})).assert_refused(1)
