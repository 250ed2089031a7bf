"""The table of outstanding holds: written by whole pages, one statement for all that end, come or are charged."""

from typing import Final

import asyncpg

from ledger.store.projected.outstanding_rows import OutstandingChanges, OutstandingHold
from ledger.store.projected.tables import TableShape
from ledger.store.projected.tracks import Track

OPEN: Final = "open"
UNSETTLED: Final = "unsettled"
_TABLE: Final = TableShape(
    columns={
        "account_id": 'text COLLATE "C" NOT NULL',
        "reservation_id": 'text COLLATE "C" NOT NULL',
        "state": 'text COLLATE "C" NOT NULL',
        "reserved_at": "timestamptz NOT NULL",
        "expires_at": "timestamptz NOT NULL",
        "model": 'text COLLATE "C" NOT NULL',
        "endpoint": 'text COLLATE "C" NOT NULL',
        "cycle_id": 'text COLLATE "C" NOT NULL',
        "tokens": "bigint NOT NULL",
    },
    key=("account_id", "reservation_id"),
    indexes=("btree (reserved_at, account_id, reservation_id)",),
)
SHAPES: Final = (_TABLE,)

_KEYS: Final = "unnest($1::text[], $2::text[]) AS told (account_id, reservation_id)"
_THESE: Final = "hold.account_id = told.account_id AND hold.reservation_id = told.reservation_id"
_ARRAYS: Final = (
    "$1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::text[], $8::text[],"
    " $9::bigint[]"
)
_COLUMNS: Final = ", ".join(_TABLE.columns)
# An id is free again once what is known of its reservation has left the ledger.
_ANEW: Final = ", ".join(f"{name} = excluded.{name}" for name in OutstandingHold._fields)


async def write_outstanding(connection: asyncpg.Connection, track: Track, changes: OutstandingChanges) -> None:
    table = _TABLE.name_in(track)
    if changes.ended:
        await connection.execute(
            f"DELETE FROM {table} AS hold USING {_KEYS} WHERE {_THESE}",  # noqa: S608  names of our own
            *zip(*changes.ended, strict=True),
        )
    if changes.made:
        rows = [(*reservation, *hold) for reservation, hold in changes.made.items()]
        await connection.execute(
            f"""
            INSERT INTO {table} ({_COLUMNS}) SELECT * FROM unnest({_ARRAYS})
            ON CONFLICT (account_id, reservation_id) DO UPDATE SET {_ANEW}
            """,  # noqa: S608  names of our own
            *zip(*rows, strict=True),
        )
    if changes.charged:
        await connection.execute(
            f"UPDATE {table} AS hold SET state = '{UNSETTLED}' FROM {_KEYS} WHERE {_THESE}",  # noqa: S608  as above
            *zip(*changes.charged, strict=True),
        )
