"""Recurring queries read along an index however many rows there are."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from chassis.postgres import create_engine
from ledger.application.committer import CONNECTION_SETTINGS
from ledger.store import due, log, retention, schema
from ledger.store.dead_letters import LETTERS
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

ROWS = 100_000
NOW = datetime(2026, 3, 10, tzinfo=UTC)
OLD = datetime(2020, 1, 1, tzinfo=UTC)

FILL = (
    """
    INSERT INTO ledger.accounts (account_id, version, due_at)
    SELECT 'a-' || n, 1, TIMESTAMPTZ '2026-03-10 00:00Z' + n * interval '1 minute'
    FROM generate_series(1, 100000) AS n
    """,
    """
    INSERT INTO ledger.holds (account_id, reservation_id, state, reserved_at, expires_at, record)
    SELECT 'a-' || n, 'r-' || n, CASE WHEN n % 50 = 0 THEN 'open' ELSE 'settled' END, now(),
        TIMESTAMPTZ '2026-03-10 00:00Z' + n * interval '1 minute', '{}'
    FROM generate_series(1, 100000) AS n
    """,
    """
    INSERT INTO ledger.events (account_id, version, id, type, recorded_at, data, hash)
    SELECT 'a-' || n, 1, gen_random_uuid(), 'solaris.ledger.account_opened.v1', now(), '', ''
    FROM generate_series(1, 100000) AS n
    """,
    """
    INSERT INTO ledger.dead_letters (consumer, message_id, subject, payload, reason, announced_at, retried_at)
    SELECT 'c', 'm-' || n, 's', '', '', now(), now() FROM generate_series(1, 100000) AS n
    """,
    """
    INSERT INTO ledger.commands (account_id, command_id, content_hash, answer)
    SELECT 'a-' || n, 'c-' || n, '', '{}' FROM generate_series(1, 100000) AS n
    """,
    "ANALYZE ledger.accounts, ledger.holds, ledger.events, ledger.dead_letters, ledger.commands",
)


@pytest_asyncio.fixture(scope="module")
async def filled(migrated: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(migrated)
    for statement in FILL:
        await connection.execute(statement)
    yield connection
    await connection.close()


RECURRING = {
    "due accounts": (due.DUE_ACCOUNTS, (NOW, NOW, "", 500), {"accounts_due_page"}),
    "expired holds": (due.EXPIRED_HOLDS, (NOW, NOW, "", "", 500), {"holds_open_page"}),
    "oldest open hold": (due.OLDEST_OPEN_HOLD, (), {"holds_open_page"}),
    "old holds": (retention.REMOVE_HOLDS, (OLD, 500), {"holds_by_age"}),
    "time": (due.DATABASE_TIME, (), {"events_0_pkey"}),
    "relay": (log.EVENTS_AFTER, (5_000, 250), {"events_0_pkey"}),
    "batch": (
        schema.READ_BATCH,
        (["a-1"], ["a-1"], ["r-1"], ["a-1"], ["c-1"], ["a-1"], ["l-1"]),
        {"accounts_pkey", "holds_pkey", "commands_pkey", "lots_pkey"},
    ),
}


LETTER_QUERIES: dict[str, Callable[[AsyncEngine], Awaitable[object]]] = {
    "dead_letters_unannounced": LETTERS.load_unannounced,
    "dead_letters_waiting": LETTERS.count_waiting,
}


@pytest.mark.parametrize("index", LETTER_QUERIES)
async def test_what_an_announcer_asks_again_and_again_reads_along_its_index(
    filled: asyncpg.Connection, migrated: str, index: str
) -> None:
    engine = create_engine(migrated, service="test")
    sent: list[tuple[str, tuple[object, ...]]] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *told: sent.append((told[2], told[3])))
    try:
        await LETTER_QUERIES[index](engine)
    finally:
        await engine.dispose()
    ((query, arguments),) = sent
    await _assert_along(filled, query, arguments, {index})


@pytest.mark.parametrize("name", RECURRING)
async def test_a_recurring_query_reads_along_its_index(filled: asyncpg.Connection, name: str) -> None:
    query, arguments, indexes = RECURRING[name]
    if name == "batch":
        for setting, value in CONNECTION_SETTINGS.items():
            await filled.execute("SELECT set_config($1, $2, false)", setting, value)
    await _assert_along(filled, query, arguments, indexes)


async def _assert_along(filled: asyncpg.Connection, query: str, arguments: tuple[Any, ...], indexes: set[str]) -> None:
    explained = json.loads(await filled.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments))
    nodes = list(_nodes(explained[0]["Plan"]))
    assert {node["Index Name"] for node in nodes if "Index Name" in node} >= indexes
    assert [node for node in nodes if node["Node Type"] == "Seq Scan"] == []
    assert sum(node.get("Actual Rows", 0) * node.get("Actual Loops", 1) for node in nodes) < ROWS / 10


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in _nodes(child))]
