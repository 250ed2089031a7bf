"""Keeps the views of the schema `analytics` as they are to be: those that are not are made, without sources empty."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

import asyncpg
from msgspec import Struct, json

from ledger.store.projected.tables import wait_briefly

READER: Final = "solaris_analytics"
VERSION: Final = 3
"""Of all views: raise it with each change, so that an older release beside this one leaves alone what this one made."""
_THERE: Final = "SELECT source FROM unnest($1::text[]) AS wanted (source) WHERE to_regclass(source) IS NOT NULL"
_TAKE_TURN: Final = """
INSERT INTO projections.published AS known (name, version, digest) VALUES ($1, 0, '')
ON CONFLICT (name) DO UPDATE SET name = known.name
RETURNING version, digest, to_regclass('analytics.' || name) IS NOT NULL
"""
_NOTE: Final = "UPDATE projections.published SET version = $2, digest = $3 WHERE name = $1"
_NOT_YET: Final = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.InsufficientPrivilegeError)
"""A source is not what this release makes of it: it is being built, or an older one is read still."""


class Column(Struct, frozen=True):
    """Its type in SQL, and what a reader is told."""

    kind: str
    about: str


class View(Struct, frozen=True, kw_only=True):
    """A view that others build on: its columns keep their names, types and order for good, new ones come last.

    `query` has at least these columns, with `{zone}` where the time zone's name stands, as a literal. `sources` are the
    tables and views that it reads; without one of them the view is there, and empty. `is_personal`: it names people.
    """

    name: str
    about: str
    columns: Mapping[str, Column]
    sources: Sequence[str]
    query: str
    is_personal: bool = False


async def sources_there(connection: asyncpg.Connection, views: Sequence[View]) -> frozenset[str]:
    """Of all sources those that can be read just now."""
    wanted = sorted({source for view in views for source in view.sources})
    return frozenset(row[0] for row in await connection.fetch(_THERE, wanted))


async def publish(connection: asyncpg.Connection, view: View, time_zone: str, there: frozenset[str]) -> bool:
    """Have a view be as this release has it, in one transaction; whether that is so.

    Where a source is not ready yet it stays as it is, or is empty, and is to be published again. Processes wait for
    each other; where a later release has published it, nothing is done.

    Raises:
        asyncpg.LockNotAvailableError: somebody reads it for long; nothing was done.
    """
    can_read = set(view.sources) <= there
    digest = sha256(json.encode([view, time_zone, can_read])).hexdigest()
    async with connection.transaction():
        await wait_briefly(connection)
        version, published, is_there = await connection.fetchrow(_TAKE_TURN, view.name)  # type: ignore[misc]  # one row
        if is_there and (version > VERSION or (version, published) == (VERSION, digest)):
            return True
        literal = await connection.fetchval("SELECT quote_literal($1::text)", time_zone)
        if can_read and not await _read_sources(connection, view, literal):
            can_read, is_ready = False, False
        else:
            is_ready = True
        if not can_read and (is_ready or not is_there):
            await _replace(connection, view, _of_nothing(view))
        if is_ready:
            await connection.execute(_NOTE, view.name, VERSION, digest)
    return is_ready


async def _read_sources(connection: asyncpg.Connection, view: View, zone: str) -> bool:
    try:
        async with connection.transaction():
            await _replace(connection, view, _of_sources(view, zone))
    except _NOT_YET:
        return False
    return True


async def _replace(connection: asyncpg.Connection, view: View, query: str) -> None:
    name = f"analytics.{view.name}"
    # Refused where a column would be gone, or be another: then somebody has broken the promise.
    await connection.execute(f"CREATE OR REPLACE VIEW {name} AS {query}")
    await connection.execute(f"GRANT SELECT ON {name} TO {READER}")
    comments = {f"VIEW {name}": view.about}
    comments |= {f"COLUMN {name}.{column}": each.about for column, each in view.columns.items()}
    for what, about in comments.items():
        await connection.execute(f"COMMENT ON {what} IS {await connection.fetchval('SELECT quote_literal($1)', about)}")


def _of_sources(view: View, zone: str) -> str:
    return f"SELECT {_columns(view, '{}')} FROM ({view.query.replace('{zone}', zone)}) AS told"  # noqa: S608  queries of our own


def _of_nothing(view: View) -> str:
    return f"SELECT {_columns(view, 'NULL')} WHERE false"


def _columns(view: View, value: str) -> str:
    """Of one type and collation, whatever the sources have."""
    told = []
    for name, column in view.columns.items():
        collation = ' COLLATE "default"' if column.kind == "text" else ""
        told.append(f"({value.format(name)})::{column.kind}{collation} AS {name}")
    return ", ".join(told)
