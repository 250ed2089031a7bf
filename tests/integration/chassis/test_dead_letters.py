"""Dead letters are kept once a message, in tables of one shape, and wait until they are retried or put away."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from chassis.dead_letters import GivenUp, PoisonError, Retried, StoredLetter
from chassis.inbox import first_seen
from chassis.migrations import migrate
from chassis.postgres import create_engine, statements
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.integration.chassis.echo import LETTERS, echo_database, empty, inbox
from tests.support.eventually import eventually
from tests.support.infrastructure import Postgres

LETTER = GivenUp(consumer="echo-heard", message_id="m-1", subject="s", payload=b"\xff", reason="it broke")


@pytest_asyncio.fixture(scope="module")
async def url(postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with echo_database(postgres_server, "echo_letters", tmp_path_factory.mktemp("echo")) as url:
        yield url


@pytest_asyncio.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(url, service="test")
    yield engine
    await empty(engine)
    await engine.dispose()


async def succeed(_: AsyncConnection, __: StoredLetter) -> None:
    return None


async def fail(_: AsyncConnection, __: StoredLetter) -> str:
    return "again"


async def _retried(engine: AsyncEngine, number: int | None = None) -> list[Retried]:
    return [each async for each in LETTERS.retry(engine, number, succeed)]


async def test_where_nothing_was_given_up_nothing_is_listed_and_nothing_retried(engine: AsyncEngine) -> None:
    assert [each async for each in LETTERS.load(engine)] == []
    assert await _retried(engine) == []


async def test_a_message_is_kept_once_however_often_it_is_given_up(engine: AsyncEngine) -> None:
    assert await LETTERS.keep(engine, LETTER) == 1
    assert await LETTERS.keep(engine, LETTER) is None
    assert [LETTERS.listed(each).payload async for each in LETTERS.load(engine)] == ["\\xff"]


async def test_a_letter_that_was_retried_waits_again_when_its_message_fails_again(engine: AsyncEngine) -> None:
    number = await LETTERS.keep(engine, LETTER)
    await LETTERS.mark_announced(engine, await LETTERS.load_unannounced(engine))
    assert await _retried(engine) == [Retried("echo:1", retried=True)]
    assert (await LETTERS.count_waiting(engine), await LETTERS.load_unannounced(engine)) == (0, [])
    assert await LETTERS.keep(engine, replace(LETTER, payload=b"more", reason="it broke again")) == number
    assert await LETTERS.count_waiting(engine) == 1
    (again,) = await LETTERS.load_unannounced(engine)
    assert (again.id, again.payload, again.reason) == (number, b"more", "it broke again")


async def test_a_letter_that_fails_again_while_it_is_announced_is_announced_again(engine: AsyncEngine) -> None:
    await LETTERS.keep(engine, LETTER)
    announced = await LETTERS.load_unannounced(engine)
    await _retried(engine)
    await LETTERS.keep(engine, LETTER)
    await LETTERS.mark_announced(engine, announced)
    assert len(await LETTERS.load_unannounced(engine)) == 1


async def test_a_letter_that_was_put_away_is_neither_retried_nor_kept_again(engine: AsyncEngine) -> None:
    number = await LETTERS.keep(engine, LETTER)
    assert number is not None
    assert await LETTERS.discard(engine, number, by="operator:ana", reason="hopeless")
    assert not await LETTERS.discard(engine, number, by="operator:ana", reason="again")
    assert await _retried(engine) == []
    assert await _retried(engine, number) == [
        Retried("echo:1", retried=False, reason="discarded by operator:ana: hopeless")
    ]
    assert await LETTERS.keep(engine, LETTER) is None


async def test_a_retry_that_fails_leaves_nothing_behind_and_the_letter_waiting(engine: AsyncEngine) -> None:
    await LETTERS.keep(engine, LETTER)
    results = [each async for each in LETTERS.retry(engine, None, fail)]
    assert results == [Retried("echo:1", retried=False, reason="again")]
    assert await LETTERS.count_waiting(engine) == 1


@pytest.mark.parametrize("refusal", ["poison", "data"])
async def test_a_letter_that_is_poison_still_keeps_none_of_the_others_from_their_retry(
    engine: AsyncEngine, refusal: str
) -> None:
    for payload in (b"bad", b"good"):
        letter = GivenUp(consumer="c", message_id=payload.decode(), subject="s", payload=payload, reason="r")
        await LETTERS.keep(engine, letter)

    async def hear(connection: AsyncConnection, letter: StoredLetter) -> None:
        if letter.payload == b"good":
            return
        if refusal == "poison":
            raise PoisonError("no event of ours")
        await connection.execute(text("SELECT 'x'::integer"))

    results = [each async for each in LETTERS.retry(engine, None, hear)]
    assert [(each.id, each.retried) for each in results] == [("echo:1", False), ("echo:2", True)]
    assert await LETTERS.count_waiting(engine) == 1


async def test_what_a_retry_of_poison_wrote_is_taken_back(engine: AsyncEngine) -> None:
    await LETTERS.keep(engine, LETTER)

    async def write_and_find_poison(connection: AsyncConnection, _: StoredLetter) -> None:
        await connection.execute(first_seen(inbox, "c", "half done").select())
        raise PoisonError("no event of ours")

    results = [each async for each in LETTERS.retry(engine, None, write_and_find_poison)]
    assert results == [Retried("echo:1", retried=False, reason="no event of ours")]
    assert await LETTERS.count_waiting(engine) == 1
    async with statements(engine) as connection:
        assert (await connection.execute(inbox.select())).all() == []


async def test_of_two_retries_at_once_one_has_its_effect_and_a_discard_meanwhile_comes_too_late(
    engine: AsyncEngine,
) -> None:
    number = await LETTERS.keep(engine, LETTER)
    assert number is not None
    effects: list[int] = []
    let_go = asyncio.Event()

    async def held(_: AsyncConnection, letter: StoredLetter) -> None:
        effects.append(letter.id)
        await let_go.wait()

    async def retry() -> list[Retried]:
        return [each async for each in LETTERS.retry(engine, None, held)]

    async def both_wait() -> bool:
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        async with statements(engine) as connection:
            return bool(await connection.scalar(waiting) == 2)

    first = asyncio.create_task(retry())
    await eventually(lambda: effects == [number])
    second = asyncio.create_task(retry())
    discarding = asyncio.create_task(LETTERS.discard(engine, number, by="operator:ana", reason="hopeless"))
    await eventually(both_wait)
    let_go.set()
    assert await first == [Retried("echo:1", retried=True)]
    assert (await second, await discarding) == ([], False)
    assert effects == [number]


async def test_letters_are_loaded_page_by_page(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.dead_letters.PAGE", 2)
    for number in range(5):
        await LETTERS.keep(engine, GivenUp(consumer="c", message_id=str(number), subject="s", payload=b"", reason="r"))
    assert [each.message_id async for each in LETTERS.load(engine)] == ["0", "1", "2", "3", "4"]


async def test_what_postgres_could_not_keep_is_made_storable(engine: AsyncEngine) -> None:
    odd = GivenUp(consumer="c", message_id="\0" * 200, subject="\0", payload=b"\0", reason="\0" * 2_000)
    await LETTERS.keep(engine, odd)
    (kept,) = [each async for each in LETTERS.load(engine)]
    assert (kept.payload, kept.message_id, len(kept.reason)) == (b"\0", "\ufffd" * 128, 1_000)


async def test_the_inbox_sees_a_message_first_once(engine: AsyncEngine) -> None:
    async with statements(engine) as connection:
        seen = [(await connection.execute(first_seen(inbox, "c", "m").select())).all() for _ in range(2)]
    assert [len(rows) for rows in seen] == [1, 0]


@pytest.mark.parametrize("text", ["echo", "echo:", "echo:x", "other:1", "echo:-1", "echo:٣", "echo:" + "9" * 30])
def test_what_names_no_letter_of_the_service_is_none(text: str) -> None:
    assert LETTERS.number_of(text) is None
    assert LETTERS.number_of("echo:12") == 12


async def test_the_tables_of_all_services_have_one_shape(url: str) -> None:
    await migrate(url, "ledger")
    await migrate(url, "notifier")
    shape = """
        SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
        WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attname
    """
    indexes = """
        SELECT indisunique, pg_get_expr(indpred, indrelid), pg_get_indexdef(indexrelid, 1, true) FROM pg_index
        WHERE indrelid = $1::regclass ORDER BY indexrelid::regclass::text
    """
    connection = await asyncpg.connect(url)
    try:
        expected = [tuple(row) for row in await connection.fetch(shape, "echo.dead_letters")]
        required = {tuple(row) for row in await connection.fetch(indexes, "echo.dead_letters")}
        for service in ("ledger", "notifier"):
            assert [tuple(row) for row in await connection.fetch(shape, f"{service}.dead_letters")] == expected
            found = {tuple(row) for row in await connection.fetch(indexes, f"{service}.dead_letters")}
            assert required <= found
    finally:
        await connection.close()
