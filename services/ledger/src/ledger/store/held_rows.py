"""All rows that name one account, of whatever table there is: a table that is added is handed out without being listed.

Notifier and billing hand out their own. Projections are told by their views, partitions by what they are parts of.
"""

from collections.abc import AsyncIterator
from typing import Final

import asyncpg
from msgspec import Raw

_PAGE: Final = 500
TIMEOUT_SECONDS: Final = 600.0
"""Of a page: what LiteLLM told of a year of calls has no index by account, and is read through."""
_TABLES: Final = """
SELECT space.nspname || '.' || held.relname, format('%I.%I', space.nspname, held.relname)
FROM pg_class AS held
JOIN pg_namespace AS space ON space.oid = held.relnamespace
JOIN pg_attribute AS named ON named.attrelid = held.oid AND named.attname = 'account_id' AND NOT named.attisdropped
WHERE held.relkind IN ('r', 'p', 'v', 'm') AND NOT held.relispartition
AND space.nspname <> ALL ($1::text[]) AND space.nspname NOT LIKE 'pg\\_%'
AND (space.nspname <> 'projections' OR held.relkind = 'v')
AND space.nspname || '.' || held.relname <> ALL ($2::text[])
AND has_schema_privilege(space.oid, 'USAGE') AND has_table_privilege(held.oid, 'SELECT')
ORDER BY 1
"""
OTHERS: Final = ("information_schema", "notifier", "billing", "analytics")
"""Schemas that others hand out, or that only show what stands elsewhere."""


async def held_rows(
    connection: asyncpg.Connection, account_id: str, *, told: tuple[str, ...]
) -> AsyncIterator[tuple[str, Raw]]:
    """Each table's name with a row of it, table by table; `told` are tables that are handed out otherwise.

    In the caller's transaction, whose snapshot they are all of.
    """
    for name, quoted in await connection.fetch(_TABLES, OTHERS, told):
        query = f"SELECT to_jsonb(held)::text FROM {quoted} AS held WHERE account_id = $1"  # noqa: S608  quoted by Postgres
        async for (row,) in connection.cursor(query, account_id, prefetch=_PAGE, timeout=TIMEOUT_SECONDS):
            yield name, Raw(row.encode())
