"""Lines of a statement, page by page along the account's positions."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

import asyncpg
from msgspec import Struct

from ledger.store.projected.statement_rows import Movement

PAGE_LINES: Final = 1_000
_COLUMNS: Final = ", ".join(Movement.__struct_fields__)
_LINES: Final = f"""
SELECT {_COLUMNS} FROM projections.statement
WHERE account_id = $1 AND position > $2
AND ($3::timestamptz IS NULL OR recorded_at >= $3) AND ($4::timestamptz IS NULL OR recorded_at < $4)
ORDER BY position LIMIT {PAGE_LINES}
"""  # noqa: S608  constants
_LAST_BEFORE: Final = f"""
SELECT {_COLUMNS} FROM projections.statement WHERE account_id = $1 AND recorded_at < $2
ORDER BY position DESC LIMIT 1
"""  # noqa: S608  constants
_OF_RESERVATION: Final = f"""
SELECT {_COLUMNS} FROM projections.statement
WHERE reservation_id = $1 AND ($2::text IS NULL OR account_id = $2) ORDER BY account_id, position LIMIT {PAGE_LINES}
"""  # noqa: S608  constants


class Period(Struct, frozen=True):
    """From a moment on, until before another; None is any."""

    starts_at: datetime | None = None
    ends_at: datetime | None = None


async def load_statement(connection: asyncpg.Connection, account_id: str, period: Period) -> AsyncIterator[Movement]:
    """An account's movements in the order in which they were decided; none is missed or told twice between pages."""
    position = 0
    while rows := await connection.fetch(_LINES, account_id, position, period.starts_at, period.ends_at):
        for row in rows:
            yield _movement(row)
        position = rows[-1]["position"]


async def load_last_before(connection: asyncpg.Connection, account_id: str, moment: datetime) -> Movement | None:
    """How the account stood at a moment: its last movement before."""
    row = await connection.fetchrow(_LAST_BEFORE, account_id, moment)
    return None if row is None else _movement(row)


async def load_movements_of(
    connection: asyncpg.Connection, reservation_id: str, account_id: str | None
) -> list[Movement]:
    """What a reservation moved, of any account or of that one."""
    return [_movement(row) for row in await connection.fetch(_OF_RESERVATION, reservation_id, account_id)]


def _movement(row: asyncpg.Record) -> Movement:
    return Movement(**dict(row.items()))
