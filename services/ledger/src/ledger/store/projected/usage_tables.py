"""The tables of usage: written by whole pages, one statement a table."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from ledger.store.arrays import figures, moments, words
from ledger.store.projected.tables import TableShape
from ledger.store.projected.tracks import Track
from ledger.store.projected.usage_rows import Estimate, Figures, ReservationKey, UsageChanges, UsageKey

_ROW: Final = {
    "account_id": 'text COLLATE "C" NOT NULL',
    "starts_at": "timestamptz NOT NULL",
    "model": 'text COLLATE "C" NOT NULL',
    "endpoint": 'text COLLATE "C" NOT NULL',
}
_TABLE: Final = TableShape(
    columns=_ROW | dict.fromkeys(Figures._fields, "bigint NOT NULL"),
    key=tuple(_ROW),
    # Rows come in about the order of time: that little is enough to find those of some days.
    indexes=("brin (starts_at) WITH (pages_per_range = 16)",),
)
_ESTIMATES: Final = TableShape(
    suffix="_estimates",
    columns={
        "account_id": _ROW["account_id"],
        "reservation_id": 'text COLLATE "C" NOT NULL',
        **{name: kind for name, kind in _ROW.items() if name != "account_id"},
        "billable_tokens": "bigint NOT NULL",
    },
    key=("account_id", "reservation_id"),
)
SHAPES: Final = (_TABLE, _ESTIMATES)

_KEY: Final = ", ".join(_ROW)
_COLUMNS: Final = ", ".join(_TABLE.columns)
_ARRAYS: Final = ", ".join(
    (
        *("$1::text::text[]", "$2::text::timestamptz[]", "$3::text::text[]", "$4::text::text[]"),
        *(f"${n}::text::bigint[]" for n, _ in enumerate(Figures._fields, start=5)),
    )
)
_SUMS: Final = ", ".join(f"{name} = usage.{name} + excluded.{name}" for name in Figures._fields)


async def load_estimates(
    connection: asyncpg.Connection, track: Track, reservations: Sequence[ReservationKey]
) -> dict[ReservationKey, Estimate]:
    """Of those reservations that have one."""
    found = await connection.fetch(
        f"""
        SELECT account_id, reservation_id, starts_at, model, endpoint, billable_tokens
        FROM unnest($1::text[], $2::text[]) AS wanted (account_id, reservation_id)
        JOIN {_ESTIMATES.name_in(track)} USING (account_id, reservation_id)
        """,  # noqa: S608  names of our own
        *zip(*reservations, strict=True),
    )
    return {ReservationKey(row[0], row[1]): Estimate(UsageKey(row[0], row[2], row[3], row[4]), row[5]) for row in found}


async def write_usage(connection: asyncpg.Connection, track: Track, changes: UsageChanges) -> None:
    """Add to rows, and keep or forget estimates; a row of no calls is none."""
    table, estimates = _TABLE.name_in(track), _ESTIMATES.name_in(track)
    if changes.added:
        account_ids, starts, models, endpoints = zip(*changes.added, strict=True)
        added = map(figures, zip(*changes.added.values(), strict=True))
        await connection.execute(
            f"""
            INSERT INTO {table} AS usage ({_COLUMNS}) SELECT * FROM unnest({_ARRAYS})
            ON CONFLICT ({_KEY}) DO UPDATE SET {_SUMS}
            """,  # noqa: S608  names of our own
            *(words(account_ids), moments(starts), words(models), words(endpoints)),
            *added,
        )
    # Where calls were only added, no row is left empty.
    if emptied := [key for key, added_to in changes.added.items() if added_to.calls <= 0]:
        await connection.execute(
            f"""
            DELETE FROM {table} AS usage
            USING unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[]) AS emptied ({_KEY})
            WHERE ({_of("usage")}) = ({_of("emptied")}) AND usage.calls = 0
            """,  # noqa: S608  names of our own
            *zip(*emptied, strict=True),
        )
    if changes.begun:
        kept = [
            (*reservation, *estimate.row[1:], estimate.billable_tokens)
            for reservation, estimate in changes.begun.items()
        ]
        arrays = "$1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::bigint[]"
        columns = ", ".join(_ESTIMATES.columns)
        await connection.execute(
            f"INSERT INTO {estimates} ({columns}) SELECT * FROM unnest({arrays})",  # noqa: S608  names of our own
            *zip(*kept, strict=True),
        )
    if changes.ended:
        await connection.execute(
            f"""
            DELETE FROM {estimates} AS estimate
            USING unnest($1::text[], $2::text[]) AS ended (account_id, reservation_id)
            WHERE estimate.account_id = ended.account_id AND estimate.reservation_id = ended.reservation_id
            """,  # noqa: S608  names of our own
            *zip(*changes.ended, strict=True),
        )


def _of(table: str) -> str:
    return ", ".join(f"{table}.{name}" for name in _ROW)
