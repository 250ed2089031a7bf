"""The tables of the overview, which stand beside those of usage and move with them."""

from typing import Final

import asyncpg

from ledger.store.arrays import words
from ledger.store.projected.overview_rows import QUARTERS_A_DAY, OverviewChanges
from ledger.store.projected.tables import TableShape
from ledger.store.projected.tracks import Track
from ledger.store.projected.usage_rows import Figures

_SUMMED: Final = (*Figures._fields, "new_people")

_QUARTERS: Final = TableShape(
    suffix="_overview",
    view="overview",
    columns={"starts_at": "timestamptz NOT NULL"} | dict.fromkeys(_SUMMED, "bigint NOT NULL"),
    key=("starts_at",),
)
# A row a person and day, whatever zone the day is asked for in: its quarter hours say of which local day each is.
_ACTIVITY: Final = TableShape(
    suffix="_activity",
    view="activity",
    columns={
        "day": "date NOT NULL",
        "account_id": 'text COLLATE "C" NOT NULL',
        "quarters": f"bit({QUARTERS_A_DAY}) NOT NULL",
    },
    key=("day", "account_id"),
)
OVERVIEW_SHAPES: Final = (_QUARTERS, _ACTIVITY)

_COLUMNS: Final = ", ".join(_QUARTERS.columns)
_ARRAYS: Final = ", ".join(("$1::timestamptz[]", *(f"${number}::bigint[]" for number in range(2, 2 + len(_SUMMED)))))
_SUMS: Final = ", ".join(f"{name} = quarter.{name} + excluded.{name}" for name in _SUMMED)


async def write_overview(connection: asyncpg.Connection, track: Track, changes: OverviewChanges) -> None:
    """Add to quarter hours, and note who was active; a quarter hour of nothing has no row."""
    quarters, activity = _QUARTERS.name_in(track), _ACTIVITY.name_in(track)
    if changes.added:
        rows = [(starts_at, *sums.figures, sums.new_people) for starts_at, sums in changes.added.items()]
        await connection.execute(
            f"""
            INSERT INTO {quarters} AS quarter ({_COLUMNS}) SELECT * FROM unnest({_ARRAYS})
            ON CONFLICT (starts_at) DO UPDATE SET {_SUMS}
            """,  # noqa: S608  names of our own
            *zip(*rows, strict=True),
        )
    if emptied := [starts_at for starts_at, sums in changes.added.items() if sums.figures.calls <= 0]:
        await connection.execute(
            f"DELETE FROM {quarters} WHERE starts_at = ANY ($1::timestamptz[]) AND calls = 0 AND new_people = 0",  # noqa: S608  as above
            emptied,
        )
    if changes.active:
        days, account_ids = zip(*changes.active, strict=True)
        bits = [f"{quarters_of:0{QUARTERS_A_DAY}b}"[::-1] for quarters_of in changes.active.values()]
        await connection.execute(
            f"""
            INSERT INTO {activity} AS known (day, account_id, quarters)
            SELECT day, account_id, quarters::bit({QUARTERS_A_DAY})
            FROM unnest($1::text::date[], $2::text::text[], $3::text::text[]) AS told (day, account_id, quarters)
            ON CONFLICT (day, account_id) DO UPDATE SET quarters = known.quarters | excluded.quarters
            WHERE known.quarters | excluded.quarters <> known.quarters
            """,  # noqa: S608  as above
            words([day.isoformat() for day in days]),
            words(account_ids),
            words(bits),
        )
