"""The request log's writer: each line once, whatever comes twice, late, damaged or from elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from chassis.core_nats.client import CoreNats
from chassis.jetstream import Message, publish_in_order, stream_info
from chassis.postgres import create_pool, opened
from chassis.provisioning import provision
from contracts.codec import encode
from contracts.requests import Bodies
from contracts.subjects import REQUESTS_ENDED, REQUESTS_STREAM
from contracts.topology import CONSUMERS, STREAMS
from contracts.usage import TokenUsage
from ledger.projector.request_days import RequestDays
from ledger.store.requests.days import AHEAD, drop_days, make_days
from ledger.store.requests.lines import COLUMNS, Stored, store_lines
from ledger.store.requests.people import erase_requests, find_requests, has_requested

from tests.support.eventually import eventually
from tests.support.ledger_operate import operate_on
from tests.support.request_lines import RETENTION, refused, served, storing

TODAY = datetime.now(UTC).date()
LINES = """
SELECT log.*, bodies.request, bodies.answer FROM requests.log LEFT JOIN requests.bodies USING (request_id, at)
WHERE log.account_id = $1 ORDER BY log.at
"""
BODIES = "SELECT at FROM requests.bodies WHERE account_id = $1 ORDER BY at"
REFUSALS = "SELECT code, sum(refusals)::bigint AS refusals FROM requests.refusals WHERE account_id = $1 GROUP BY 1"
HOURS = "SELECT hour, refusals FROM requests.refusals WHERE account_id = $1 ORDER BY hour"


@pytest_asyncio.fixture
async def connection(migrated: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(migrated)
    await make_days(connection, RETENTION, TODAY)
    yield connection
    await connection.close()


async def lines_of(connection: asyncpg.Connection, account_id: str) -> list[dict[str, Any]]:  # Any: as the store has it
    """Without what they do not say."""
    return [
        {name: value for name, value in row.items() if value is not None}
        for row in await connection.fetch(LINES, account_id)
    ]


async def refusals(connection: asyncpg.Connection, account_id: str) -> dict[str, int]:
    return {row["code"]: row["refusals"] for row in await connection.fetch(REFUSALS, account_id)}


async def test_a_line_is_stored_as_it_was_told(connection: asyncpg.Connection) -> None:
    told = served(
        "whole",
        code="answer_cut",
        would_refuse="rate_limited",
        streamed=True,
        conversation_id="conversation",
        client_request_id="own",
        client_retries=2,
        key_id="key",
        address="192.0.2.7",
        user_agent="agent",
        first_token_ms=77,
        usage=TokenUsage(
            prompt_tokens=5, cached_prompt_tokens=4, cache_write_tokens=3, completion_tokens=2, reasoning_tokens=1
        ),
        available_tokens=-1,
        needed_tokens=2**53,
        cached=True,
        bodies=Bodies(request="question", answer="answer"),
    )
    assert await store_lines(connection, [told]) == Stored(1, 0, 0, 0)
    (line,) = await lines_of(connection, "whole")
    assert told.usage is not None
    expected = {name: getattr(told, name, None) for name in COLUMNS} | {
        name: getattr(told.usage, name) for name in told.usage.__struct_fields__
    }
    assert line == expected | {"request": "question", "answer": "answer"}


async def test_what_comes_again_counts_once_and_refusals_are_counted_with_the_line(
    connection: asyncpg.Connection,
) -> None:
    lines = [refused("again"), refused("again"), refused("again", "rate_limited"), served("again")]
    assert await store_lines(connection, lines) == Stored(4, 0, 0, 0)
    assert await store_lines(connection, [lines[0], lines[0], *lines]) == Stored(0, 6, 0, 0)
    twice = refused("again")
    assert await store_lines(connection, [twice, twice]) == Stored(1, 1, 0, 0)
    assert await refusals(connection, "again") == {"insufficient_tokens": 3, "rate_limited": 1}
    assert len(await lines_of(connection, "again")) == 5


async def test_two_who_store_the_same_at_once_store_it_once(migrated: str, connection: asyncpg.Connection) -> None:
    lines = [refused(f"both-{number % 7}", ("a", "b")[number % 2]) for number in range(300)]
    other = await asyncpg.connect(migrated)
    try:
        stored = await asyncio.gather(store_lines(connection, lines), store_lines(other, lines[::-1]))
    finally:
        await other.close()
    assert sum(each.new for each in stored) == 300
    counted = [sum((await refusals(connection, f"both-{number}")).values()) for number in range(7)]
    assert sum(counted) == 300


async def test_an_hour_of_refusals_is_one_of_utc(connection: asyncpg.Connection) -> None:
    await connection.execute("SET timezone = 'Asia/Kolkata'")  # half an hour beside it
    hour = datetime.combine(TODAY, datetime.min.time(), UTC)
    lines = [refused("hours", at=hour + timedelta(minutes=minutes)) for minutes in (0, 59, 60)]
    await store_lines(connection, lines)
    assert [tuple(row) for row in await connection.fetch(HOURS, "hours")] == [
        (hour, 2),
        (hour + timedelta(hours=1), 1),
    ]


async def test_days_are_made_ahead_and_go_when_they_have_been_kept(postgres_days: asyncpg.Connection) -> None:
    connection = postgres_days
    assert await make_days(connection, RETENTION, date(2026, 3, 1)) == 30
    assert await make_days(connection, RETENTION, date(2026, 3, 1)) == 0
    assert await make_days(connection, RETENTION, date(2026, 3, 3)) == 4
    moments = [datetime(2026, 2, day, 23, 59, 59, 999_999, tzinfo=UTC) for day in (21, 22, 28)]
    lines = [served("days", at=moment, bodies=Bodies(request="x")) for moment in moments]
    assert await store_lines(connection, lines) == Stored(2, 0, 0, 1)  # none is there before the 22nd
    # Bodies go sooner than their lines, and of neither more than what is too old.
    await drop_days(connection, RETENTION, date(2026, 3, 2))
    assert [line["at"].day for line in await lines_of(connection, "days")] == [22, 28]
    assert [row["at"].day for row in await connection.fetch(BODIES, "days")] == [28]
    await drop_days(connection, RETENTION, date(2026, 5, 24))
    assert [line["at"].day for line in await lines_of(connection, "days")] == [28]
    late = served("days", at=moments[1])
    assert await store_lines(connection, [late]) == Stored(0, 0, 0, 1)


@pytest_asyncio.fixture
async def postgres_days(migrated: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection whose changes are undone: days of another year must not stand beside the others' own."""
    connection = await asyncpg.connect(migrated)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("DELETE FROM requests.days")
    for parent in ("log", "bodies"):
        rows = await connection.fetch(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::regclass", f"requests.{parent}"
        )
        for row in rows:
            await connection.execute(f"DROP TABLE {row[0]}")
    yield connection
    await transaction.rollback()
    await connection.close()


async def test_days_are_made_and_dropped_while_the_projector_runs(
    migrated: str, connection: asyncpg.Connection
) -> None:
    old = TODAY - timedelta(days=100)
    for parent in ("log", "bodies"):
        await connection.execute("SELECT requests.make_day($1, $2)", parent, old)
    ahead = TODAY + AHEAD
    await connection.execute("SELECT requests.drop_day('log', $1)", ahead)
    days = "SELECT count(*) FROM requests.days WHERE day = ANY ($1)"
    pool: asyncpg.Pool = create_pool(migrated, max_size=1, service="test-days")
    async with opened(pool):
        keeping = asyncio.create_task(RequestDays(pool, RETENTION).run())
        try:
            await eventually(lambda: _is(connection.fetchval(days, [old]), 0), message="old days are dropped")
            assert await connection.fetchval(days, [ahead]) == 2
            assert await connection.fetchval(f"SELECT to_regclass('requests.log_{old:%Y%m%d}')") is None
        finally:
            keeping.cancel()


async def test_no_sample_outlasts_what_people_wrote(connection: asyncpg.Connection) -> None:
    texts = {"address": "192.0.2.99", "user_agent": "sampled agent"}
    body = Bodies(request="sampled question", answer="sampled answer")
    await store_lines(connection, [served("sampled", bodies=body, **texts) for _ in range(50)])
    await connection.execute("ANALYZE requests.log, requests.bodies")
    sampled = "SELECT count(*) FROM pg_stats WHERE schemaname = 'requests' AND attname = ANY ($1)"
    assert await connection.fetchval(sampled, ["model"]) > 0
    assert await connection.fetchval(sampled, [*texts, "request", "answer"]) == 0


async def test_a_long_reader_is_not_waited_for_to_drop_a_day(migrated: str, connection: asyncpg.Connection) -> None:
    reader = await asyncpg.connect(migrated)
    try:
        async with reader.transaction():
            await reader.fetch("SELECT count(*) FROM requests.log")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await drop_days(connection, RETENTION, TODAY + timedelta(days=90))
            assert (await store_lines(connection, [served("beside-a-reader")])).new == 1
            # Nor is a reader in the way of days to come.
            assert await make_days(connection, RETENTION, TODAY + timedelta(days=1)) == 2
    finally:
        await reader.close()


async def test_the_writer_makes_and_drops_days_with_its_own_rights_and_nothing_else(
    connection: asyncpg.Connection,
) -> None:
    await connection.execute("SET ROLE solaris_projector")
    assert await make_days(connection, RETENTION, TODAY + timedelta(days=3)) > 0
    assert (await store_lines(connection, [refused("by-role", bodies=Bodies(request="q"))])).new == 1
    assert await drop_days(connection, RETENTION, TODAY) == 0
    assert await erase_requests(connection, "by-role") == 1
    for forbidden in ("DROP TABLE requests.log", "TRUNCATE requests.log", "DELETE FROM requests.days"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(forbidden)


async def test_what_is_erased_stays_erased_though_it_comes_again(connection: asyncpg.Connection) -> None:
    before = [refused("gone", bodies=Bodies(request="secret")), served("gone")]
    under_way = served("gone")
    await store_lines(connection, [*before, served("neighbour")])
    assert await erase_requests(connection, "gone") == 2
    assert await lines_of(connection, "gone") == []
    assert await connection.fetchval("SELECT count(*) FROM requests.bodies WHERE account_id = 'gone'") == 0
    assert await store_lines(connection, [*before, under_way]) == Stored(0, 0, 3, 0)
    assert await refusals(connection, "gone") == {"insufficient_tokens": 1}
    assert await has_requested(connection, "gone")
    assert not await has_requested(connection, "nobody")
    assert len(await lines_of(connection, "neighbour")) == 1
    anew = served("gone", at=datetime.now(UTC) + timedelta(seconds=1))
    assert (await store_lines(connection, [anew])).new == 1


async def test_what_is_being_stored_while_its_person_is_forgotten_is_erased_too(
    migrated: str, connection: asyncpg.Connection
) -> None:
    storing_it = await asyncpg.connect(migrated)
    try:
        transaction = storing_it.transaction()
        await transaction.start()
        await store_lines(storing_it, [served("being-stored")])
        erasing = asyncio.create_task(erase_requests(connection, "being-stored"))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'ShareLock'"
        await eventually(lambda: storing_it.fetchval(waiting), message="it is waited for")
        await transaction.commit()
        assert await asyncio.wait_for(erasing, 10) == 1
    finally:
        await storing_it.close()


async def test_a_request_is_found_by_each_id_that_somebody_knows(connection: asyncpg.Connection) -> None:
    first = served("known", conversation_id="talk", client_request_id="message-1")
    second = refused("known", conversation_id="talk", client_request_id="message-2")
    await store_lines(connection, [first, second, served("known", conversation_id="other")])

    async def found(any_id: str) -> list[str]:
        return [each.request_id for each in await find_requests(connection, any_id)]

    assert await found("talk") == [first.request_id, second.request_id]
    assert await found("message-2") == [second.request_id]
    assert await found(first.request_id) == [first.request_id]
    assert await found("nothing") == []
    assert len(await find_requests(connection, "talk", limit=1)) == 1


# --- from the stream --------------------------------------------------------------------------------------------


def message(lines: Sequence[bytes], message_id: str) -> Message:
    return Message(REQUESTS_ENDED, b"\n".join(lines), message_id)


async def waits(core: CoreNats) -> int:
    """How many messages the stream holds."""
    state: int = (await stream_info(core, REQUESTS_STREAM))["state"]["messages"]
    return state


async def test_lines_are_read_from_the_stream_which_keeps_none_that_is_stored(
    migrated: str, core: CoreNats, connection: asyncpg.Connection
) -> None:
    await provision(core, STREAMS, CONSUMERS)
    lines = [served("from.stream", request_id=f"request-{number}") for number in range(40)]
    written = served("from.stream", request_id="written", bodies=Bodies(request=r"is \u0000 NUL?"))
    zero = served("from.stream", request_id="zero", bodies=Bodies(request="\x00"))
    nonsense = [b"", b"[]", b'{"request_id": "x"}', b"\xff", b"[" * 100_000, encode(zero)]
    told = [message([*map(encode, lines[:20]), *nonsense, *map(encode, lines[20:])], "first")]
    told += [message([each], f"nonsense {number}") for number, each in enumerate(nonsense)]
    told += [message([b""] * 100_000, "empty lines"), message([encode(written)], "written")]
    await publish_in_order(core, told)
    async with storing(migrated, core) as log:
        await eventually(lambda: _is(waits(core), 0), message="all is read")
        assert await log.check() is None
        # Under other ids, as they come again once the server has forgotten them.
        await publish_in_order(core, [message(list(map(encode, lines)), f"again {number}") for number in range(3)])
        await eventually(lambda: _is(waits(core), 0), message="all is read again")
    assert len(await lines_of(connection, "from.stream")) == 41


async def _is(found: Any, expected: int) -> bool:  # Any: whatever can be awaited for a number
    return bool(await found == expected)


async def test_what_a_killed_reader_had_fetched_is_read_by_another(
    migrated: str, core: CoreNats, connection: asyncpg.Connection
) -> None:
    await provision(core, STREAMS, CONSUMERS)
    blocker = await asyncpg.connect(migrated)
    try:
        async with storing(migrated, core):
            async with blocker.transaction():
                await blocker.execute("LOCK TABLE requests.log IN ACCESS EXCLUSIVE MODE")
                await publish_in_order(core, [message([encode(served("fetched"))], f"fetched {n}") for n in range(15)])
                waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'requests.log'::regclass"
                await eventually(lambda: connection.fetchval(waiting), message="a reader that has fetched them")
                fetched = connection.fetchval
                assert await fetched("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted LIMIT 1")
            await eventually(lambda: _is(waits(core), 0), 20, message="all is read")
    finally:
        await blocker.close()
    assert len(await lines_of(connection, "fetched")) == 15


async def test_a_forgotten_persons_requests_leave_the_log(migrated: str, connection: asyncpg.Connection) -> None:
    stored = refused("to.forget", bodies=Bodies(request="secret"), conversation_id="talk")
    await store_lines(connection, [stored])
    operate = operate_on(migrated)
    exported = (await operate("export", account="to.forget")).json
    assert [line["conversation_id"] for line in exported["requests.log"]] == ["talk"]
    assert [line["request"] for line in exported["requests.bodies"]] == ["secret"]
    assert (await operate("forget", account="to.forget")).json["requests_erased"] == 1
    assert await lines_of(connection, "to.forget") == []
    assert (await operate("forget", account="to.forget")).json["requests_erased"] == 0
