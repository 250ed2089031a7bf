"""The schema `analytics` on the made-up company: each view tells what the books say, to whom it may, and stays."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from ledger.analytics.document import document
from ledger.store.analytics import VERSION, Column, View, publish, sources_there
from ledger.store.analytics_views import VIEWS
from ledger.store.projected.tracks import connect_for_projecting

from deploy.metabase.load import Question, read_questions
from tests.integration.company.conftest import ZONE
from tests.support.infrastructure import Postgres
from tests.support.ledger_operate import operate_on

DOCUMENT = Path(__file__).parents[3] / "docs" / "analytics.md"
# Whatever an installation has: tables, views, and what of them can be read as a whole or by column.
READABLE = """
SELECT format('%s.%s', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind IN ('r', 'v', 'm', 'p', 'S') AND nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    AND has_schema_privilege('solaris_analytics', nspname, 'USAGE')
    AND (has_table_privilege('solaris_analytics', pg_class.oid, 'SELECT')
        OR has_any_column_privilege('solaris_analytics', pg_class.oid, 'SELECT, INSERT, UPDATE'))
"""


@pytest_asyncio.fixture
async def owner(projected: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(projected, timeout=10)
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def reader(projected: str) -> AsyncIterator[asyncpg.Connection]:
    """With the rights of whoever reads from outside."""
    connection = await asyncpg.connect(projected, timeout=10, server_settings={"role": "solaris_analytics"})
    yield connection
    await connection.close()


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
async def test_a_view_has_rows_and_is_as_it_is_written_down(
    view: View, owner: asyncpg.Connection, reader: asyncpg.Connection
) -> None:
    assert len(await reader.fetch(f"SELECT * FROM analytics.{view.name} LIMIT 5")) > 0
    columns = await owner.fetch(
        """
        SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) FROM pg_attribute
        WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum
        """,
        f"analytics.{view.name}",
    )
    spelt = {"timestamp with time zone": "timestamptz"}
    told = [(name, spelt.get(kind, kind), about) for name, kind, about in columns]
    assert told == [(name, column.kind, column.about) for name, column in view.columns.items()]
    about = await owner.fetchval("SELECT obj_description($1::regclass)", f"analytics.{view.name}")
    assert about == view.about


@pytest.mark.parametrize("question", read_questions().values(), ids=lambda question: question.key)
async def test_a_question_for_metabase_has_rows(question: Question, reader: asyncpg.Connection) -> None:
    sql = question.sql
    for name, value in question.numbers.items():
        sql = sql.replace(f"{{{{{name}}}}}", str(value))
    rows = await reader.fetch(sql)
    assert len(rows) > 0
    drawn = question.visualization.get("graph.dimensions", []) + question.visualization.get("graph.metrics", [])
    assert set(drawn) <= set(rows[0].keys())
    assert all(any(row[name] is not None for row in rows) for name in rows[0].keys())  # noqa: SIM118  a record's names


def test_the_page_about_them_is_up_to_date() -> None:
    assert DOCUMENT.read_text() == document()
    assert len({view.name for view in VIEWS}) == len(VIEWS)


async def test_readers_see_these_views_and_nothing_else(owner: asyncpg.Connection, reader: asyncpg.Connection) -> None:
    assert {row[0] for row in await owner.fetch(READABLE)} == {f"analytics.{view.name}" for view in VIEWS}
    for statement in ("CREATE TABLE analytics.x ()", "DELETE FROM analytics.holds", "TABLE ledger.profiles"):
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError)):
            await reader.execute(statement)
    settings = await owner.fetchval("SELECT rolconfig FROM pg_roles WHERE rolname = 'solaris_analytics'")
    assert {"statement_timeout=30s", "default_transaction_read_only=on"} <= set(settings)
    assert not await owner.fetchval("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'solaris_analytics'")


async def test_only_views_that_say_so_name_anybody(owner: asyncpg.Connection, reader: asyncpg.Connection) -> None:
    named = set[str]()
    email, name = await owner.fetchrow("SELECT email, name FROM ledger.profiles ORDER BY account_id LIMIT 1")  # type: ignore[misc]
    for view in VIEWS:
        query = f"SELECT count(*) FROM analytics.{view.name} AS row WHERE row::text LIKE ANY ($1::text[])"
        if await reader.fetchval(query, [f"%{email}%", f"%{name}%"]):
            named.add(view.name)
    assert named == {view.name for view in VIEWS if view.is_personal}


async def test_days_sum_up_to_what_the_operators_see(projected: str, reader: asyncpg.Connection) -> None:
    usage = await operate_on(projected)("usage", by="day", format="json")
    assert (usage.code, usage.err) == (0, "")
    rows = await reader.fetch(
        "SELECT day::text, sum(calls)::bigint, sum(billable_tokens)::bigint, (sum(cost_usd) * 1000000)::bigint"
        " FROM analytics.usage_by_day GROUP BY 1 ORDER BY 1"
    )
    seen = [(line["day"], line["calls"], line["billable_tokens"], line["cost_usd_micros"]) for line in usage.lines]
    assert [tuple(row) for row in rows] == seen
    assert len(rows) > 80
    overview = "SELECT sum(calls), sum(billable_tokens), sum(cost_usd) FROM analytics.{}"
    by_day, by_hour, at_all = [await _sums(reader, overview.format(f"usage_by_{by}")) for by in ("day", "hour")] + [
        await _sums(reader, overview.format("overview_by_day"))
    ]
    assert by_day == by_hour == at_all


async def test_money_is_what_billings_books_say(owner: asyncpg.Connection, reader: asyncpg.Connection) -> None:
    books = await owner.fetchval("""
        SELECT (SELECT sum(paid_minor - refunded_minor - disputed_minor) FROM billing.orders
                WHERE state = 'paid' AND kind <> 'subscription')
    """)
    orders = "order_id IN (SELECT id FROM billing.orders WHERE kind <> 'subscription')"
    assert await owner.fetchval(f"SELECT sum(amount_minor) FROM analytics.revenue WHERE {orders}") == books
    assert await _sums(reader, "SELECT sum(amount) FROM analytics.revenue") == await _sums(
        reader, "SELECT sum(amount) FROM analytics.revenue_by_day"
    )
    assert await _sums(reader, "SELECT sum(revenue_brl), sum(other_currencies) FROM analytics.margin_by_month") == [
        *await _sums(reader, "SELECT sum(amount) FROM analytics.revenue"),
        0,
    ]


async def _sums(connection: asyncpg.Connection, query: str) -> Sequence[Any]:  # figures of any kind
    return list(await connection.fetchrow(query) or ())


async def test_a_replay_swaps_tables_under_the_views(projected: str, reader: asyncpg.Connection) -> None:
    before = await _sums(reader, "SELECT sum(calls) FROM analytics.usage_by_day")
    replayed = await operate_on(projected)("replay", projection="usage")
    assert (replayed.code, replayed.json["difference_count"]) == (0, 0)
    assert await _sums(reader, "SELECT sum(calls) FROM analytics.usage_by_day") == before


def _view(query: str, source: str = "projections.made_up", **columns: str) -> View:
    told = {name: Column(kind, "it") for name, kind in columns.items()}
    return View(name="made_up", about="It", columns=told, sources=(source,), query=query)


@pytest_asyncio.fixture
async def projector(postgres_server: Postgres, company: object) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the projector's, to a copy of an empty ledger."""
    from chassis.migrations import migrate  # noqa: PLC0415

    url = await postgres_server.create_database("test_company_views")
    await migrate(url, "ledger")
    connection = await connect_for_projecting(url, "test")
    yield connection
    connection.terminate()
    await postgres_server.drop_database("test_company_views")


async def test_a_view_waits_for_its_source_and_goes_on_without(projector: asyncpg.Connection) -> None:
    view = _view("SELECT a, now() AT TIME ZONE {zone} AS at FROM projections.made_up", a="text", at="date")

    async def seen(view: View = view) -> list[Any]:
        there = await sources_there(projector, [view])
        assert await publish(projector, view, ZONE, there)
        return [row[0] for row in await projector.fetch("SELECT a FROM analytics.made_up")]

    assert await seen() == []
    await projector.execute("""CREATE TABLE projections.made_up_v1 (a text COLLATE "C");
        INSERT INTO projections.made_up_v1 VALUES ('x');
        CREATE VIEW projections.made_up AS TABLE projections.made_up_v1""")
    assert await seen() == ["x"]
    # As a swap does it; and as a view is dropped with all that is made of it.
    await projector.execute("""CREATE TABLE projections.made_up_v2 (a text COLLATE "C", b text);
        CREATE OR REPLACE VIEW projections.made_up AS TABLE projections.made_up_v2;
        DROP TABLE projections.made_up_v1; INSERT INTO projections.made_up_v2 VALUES ('y')""")
    assert await seen() == ["y"]
    await projector.execute("DROP VIEW projections.made_up CASCADE")
    assert await seen() == []


async def test_a_source_of_another_release_leaves_the_view_as_it_was(projector: asyncpg.Connection) -> None:
    await projector.execute("CREATE TABLE projections.made_up (a text); INSERT INTO projections.made_up VALUES ('x')")
    old = _view("SELECT a FROM projections.made_up", a="text")
    new = _view("SELECT a, b FROM projections.made_up", a="text", b="bigint")
    there = frozenset({"projections.made_up"})
    assert not await publish(projector, new, ZONE, there)
    assert await projector.fetch("TABLE analytics.made_up") == []
    await projector.execute("ALTER TABLE projections.made_up ADD b integer DEFAULT 7")
    assert await publish(projector, new, ZONE, there)
    assert [tuple(row) for row in await projector.fetch("TABLE analytics.made_up")] == [("x", 7)]
    # A release that has less of it can't take it away, and one before this one does not try.
    with pytest.raises(asyncpg.InvalidTableDefinitionError):
        await publish(projector, old, ZONE, there)
    await projector.execute("UPDATE projections.published SET version = $1", VERSION + 1)
    assert await publish(projector, old, ZONE, there)
    assert [tuple(row) for row in await projector.fetch("TABLE analytics.made_up")] == [("x", 7)]


async def test_who_reads_for_long_is_not_waited_for(projector: asyncpg.Connection, postgres_server: Postgres) -> None:
    view = _view("SELECT 1 AS a", source="projections.tracks", a="integer")
    there = frozenset({"projections.tracks"})
    assert await publish(projector, view, ZONE, there)
    reading = await asyncpg.connect(postgres_server.url("test_company_views"), timeout=10)
    try:
        async with reading.transaction():
            await reading.execute("TABLE analytics.made_up")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await publish(projector, _view("SELECT 2 AS a", "projections.tracks", a="integer"), ZONE, there)
            assert await publish(projector, view, ZONE, there), "what is as it is to be takes no lock"
    finally:
        await reading.close()
