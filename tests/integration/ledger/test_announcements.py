"""Dead letters that were kept while NATS was away are announced once it is back, each of them once."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC
from pathlib import Path

import asyncpg
import nats
from chassis.announcements import announce_dead_letters
from chassis.core_nats.client import CoreNats
from chassis.dead_letters import PAGE, DeadLetter, GivenUp
from chassis.postgres import create_engine
from chassis.provisioning import provision
from contracts import subjects
from contracts.topology import STREAMS
from ledger.store.dead_letters import LETTERS
from local_run.ports import any_free
from local_run.servers.nats_server import running_nats
from msgspec import json
from structlog.testing import capture_logs

from tests.support.eventually import eventually
from tests.support.infrastructure import core_nats

COUNT = PAGE + 20
_letter = json.Decoder(DeadLetter).decode


async def announced(nats_url: str) -> list[DeadLetter]:
    client = await nats.connect(nats_url, connect_timeout=5)
    try:
        jetstream = client.jetstream()
        last = (await jetstream.stream_info(subjects.DEADLETTER_STREAM)).state.last_seq
        return [
            _letter((await jetstream.get_msg(subjects.DEADLETTER_STREAM, sequence)).data or b"")
            for sequence in range(1, last + 1)
        ]
    finally:
        await client.close()


async def test_letters_kept_while_nats_was_away_are_announced_once_each_when_it_is_back(
    migrated: str, database: asyncpg.Connection, tmp_path: Path, closing: AsyncExitStack
) -> None:
    port = any_free()
    unannounced = "SELECT count(*) FROM ledger.dead_letters WHERE announced_at IS NULL"
    engine = create_engine(migrated, service="test")
    closing.push_async_callback(engine.dispose)
    async with running_nats(tmp_path / "nats", port=port) as server:
        url = server.url()
        async with core_nats(url) as client:
            await provision(client, STREAMS, ())
        core = await closing.enter_async_context(CoreNats(url, service="ledger"))
        await eventually(lambda: core.is_connected)
    await eventually(lambda: not core.is_connected)
    for number in range(COUNT):
        letter = GivenUp(
            consumer="ledger", message_id=f"m-{number}", subject="s", payload=b"{}", reason=f"reason {number}"
        )
        await LETTERS.keep(engine, letter)
    announcing = asyncio.create_task(announce_dead_letters(core, engine, LETTERS, subjects.dead_letter))
    closing.callback(announcing.cancel)
    with capture_logs() as logs:
        await eventually(lambda: any(line["event"] == "dead_letters_not_announced" for line in logs), 20)
    assert await database.fetchval(unannounced) == COUNT
    async with running_nats(tmp_path / "nats", port=port):

        async def all_told() -> bool:
            return bool(await database.fetchval(unannounced) == 0)

        await eventually(all_told, 30)
        rows = await database.fetch("SELECT id, reason, failed_at FROM ledger.dead_letters ORDER BY id")
        assert [(letter.id, letter.reason, letter.failed_at.astimezone(UTC)) for letter in await announced(url)] == [
            (f"ledger:{row['id']}", row["reason"], row["failed_at"]) for row in rows
        ]


async def test_a_letter_that_was_retried_and_failed_again_is_announced_again_at_once(
    migrated: str, nats_url: str, closing: AsyncExitStack
) -> None:
    engine = create_engine(migrated, service="test")
    closing.push_async_callback(engine.dispose)
    core = await closing.enter_async_context(core_nats(nats_url))
    await provision(core, STREAMS, ())
    announcing = asyncio.create_task(announce_dead_letters(core, engine, LETTERS, subjects.dead_letter))
    closing.callback(announcing.cancel)

    async def succeed(_: object, __: object) -> None:
        return None

    told: list[str] = []
    for reason in ("first", "second"):
        letter = GivenUp(consumer="again", message_id="m", subject="s", payload=b"{}", reason=reason)
        number = await LETTERS.keep(engine, letter)
        told.append(reason)

        async def all_told() -> bool:
            return [letter.reason for letter in await announced(nats_url) if letter.consumer == "again"] == told

        await eventually(all_told, 20)
        assert [each.retried async for each in LETTERS.retry(engine, number, succeed)] == [True]
