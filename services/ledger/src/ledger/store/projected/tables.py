"""The tables of tracks: made, compared row by row, put where they are read, and dropped."""

import re
from collections.abc import Sequence
from typing import Final

import asyncpg
from msgspec import Struct

from ledger.store.projected.tracks import Track

LOCK_TIMEOUT: Final = "1s"
COMPARE_TIMEOUT_SECONDS: Final = 1_800.0
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")
_TABLES_OF: Final = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
WHERE schemaname = 'projections' AND (tablename = $1 OR starts_with(tablename, $1 || '_'))
"""

# A track and its tables come and go in one transaction, and one statement sees both or neither.
_TABLES_OF_NOBODY: Final = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
WHERE schemaname = 'projections' AND tableowner = current_user AND tablename ~ '^[a-z][a-z0-9_]*_v[0-9]+_[0-9]+(_|$)'
AND NOT EXISTS (
    SELECT FROM projections.tracks
    WHERE tablename ~ ('^' || name || '_v' || version || '_' || track_id || '(_|$)')
)
"""


class TableShape(Struct, frozen=True, kw_only=True):
    """One table of a projection: `columns` by name with their types, `key` of some of them, `indexes` beside it.

    Without a `suffix` it is what is read under the projection's own name; another one is read where it has a `view`. In
    what is read columns may be added and none removed. It has those of the table, and `joined` ones of what the view
    joins to it (`join`), which are no part of the projection. Rows of what is `appended` are never changed.
    """

    suffix: str = ""
    view: str = ""
    columns: dict[str, str]
    key: tuple[str, ...]
    indexes: tuple[str, ...] = ()
    indexes_of_readers: tuple[str, ...] = ()
    """Made when the table is about to be read: what is built needs them not, and would be slowed by a third."""
    joined: tuple[str, ...] = ()
    join: str = ""
    appended: bool = False

    def name_in(self, track: Track) -> str:
        return track.table + self.suffix

    def view_of(self, name: str) -> str | None:
        """The name of the view that shows it of a projection of that name; None where nothing does."""
        return self.view or (None if self.suffix else name)


class RowDifference(Struct, frozen=True):
    """A row that the live table and the rebuilt one do not have alike; None where one lacks it."""

    table: str
    live: str | None
    rebuilt: str | None


async def create_tables(connection: asyncpg.Connection, track: Track, shapes: Sequence[TableShape]) -> None:
    """In the transaction in which the track begins."""
    for shape in shapes:
        assert _NAME.fullmatch(track.name), track.name
        columns = ", ".join(f"{name} {kind}" for name, kind in shape.columns.items())
        table, key = shape.name_in(track), ", ".join(shape.key)
        # A row is changed again and again while its time lasts: there is room for that beside it.
        room = "" if shape.appended else " WITH (fillfactor = 80)"
        await connection.execute(f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({key})){room}")
        for index in shape.indexes:
            await connection.execute(f"CREATE INDEX ON {table} USING {index}")


async def index_for_readers(connection: asyncpg.Connection, track: Track, shapes: Sequence[TableShape]) -> None:
    """Make what is missing of the indexes that only readers need; each in a transaction that takes its time."""
    for shape in shapes:
        table = shape.name_in(track)
        for number, index in enumerate(shape.indexes_of_readers):
            name = f"{table.removeprefix('projections.')}_by_{number}"
            async with connection.transaction():
                await take_time(connection)
                create = f"CREATE INDEX IF NOT EXISTS {name} ON {table} USING {index}"
                await connection.execute(create, timeout=COMPARE_TIMEOUT_SECONDS)


async def show_tables(connection: asyncpg.Connection, track: Track, shapes: Sequence[TableShape]) -> None:
    """Let the views show this track's rows; waits for readers no longer than `LOCK_TIMEOUT`."""
    await wait_briefly(connection)
    for shape in shapes:
        if (name := shape.view_of(track.name)) is not None:
            columns = ", ".join((*shape.columns, *shape.joined))
            rows = f"{shape.name_in(track)} {shape.join}"
            view = f"CREATE OR REPLACE VIEW projections.{name} AS SELECT {columns} FROM {rows}"  # noqa: S608  names of our own
            await connection.execute(view)


async def drop_tables(connection: asyncpg.Connection, track: Track) -> None:
    """All that a track has, also one of a version that is not known here; waits no longer than `LOCK_TIMEOUT`."""
    await wait_briefly(connection)
    for (table,) in await connection.fetch(_TABLES_OF, track.table.removeprefix("projections.")):
        await connection.execute(f"DROP TABLE {table}")


async def load_tables_of_nobody(connection: asyncpg.Connection) -> list[str]:
    """Tables of tracks that are not in the list any more: somebody has emptied it."""
    return [row[0] for row in await connection.fetch(_TABLES_OF_NOBODY)]


async def drop_table(connection: asyncpg.Connection, table: str) -> None:
    """One of those; waits no longer than `LOCK_TIMEOUT`."""
    await wait_briefly(connection)
    await connection.execute(f"DROP TABLE IF EXISTS {table}")


async def wait_briefly(connection: asyncpg.Connection) -> None:
    """For the rest of the transaction: who waits for a lock keeps others waiting behind it."""
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")


async def take_time(connection: asyncpg.Connection) -> None:
    """For the rest of the transaction, which reads whole tables and holds nobody up."""
    await connection.execute("SET LOCAL transaction_timeout = 0")


async def is_shown(connection: asyncpg.Connection, name: str) -> bool:
    """Whether a view of a projection can be read."""
    shown: bool = await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"projections.{name}")
    return shown


async def compare_tables(
    connection: asyncpg.Connection, live: Track, rebuilt: Track, shapes: Sequence[TableShape], limit: int
) -> tuple[int, int, list[RowDifference]]:
    """Rows of the live track, differences from the rebuilt one and the first `limit` of them, in one snapshot.

    Both stand at the same position in the caller's transaction, whose snapshot never changes.
    """
    rows, count, first = 0, 0, list[RowDifference]()
    for shape in shapes:
        ours, theirs, keys = shape.name_in(live), shape.name_in(rebuilt), ", ".join(shape.key)
        rows += await connection.fetchval(f"SELECT count(*) FROM {ours}", timeout=COMPARE_TIMEOUT_SECONDS)  # noqa: S608  names of our own
        unlike = f"FROM {ours} AS live FULL JOIN {theirs} AS rebuilt USING ({keys}) WHERE live IS DISTINCT FROM rebuilt"
        found = await connection.fetchval(f"SELECT count(*) {unlike}", timeout=COMPARE_TIMEOUT_SECONDS)
        count += found
        if found and len(first) < limit:
            asked = f"SELECT to_jsonb(live)::text, to_jsonb(rebuilt)::text {unlike} ORDER BY {keys} LIMIT $1"
            unlikes = await connection.fetch(asked, limit - len(first), timeout=COMPARE_TIMEOUT_SECONDS)
            first += [RowDifference(live.name + shape.suffix, *row) for row in unlikes]
    return rows, count, first
