"""The table of people, with an index for each column that they are sorted by; names are joined when it is read."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from ledger.store.arrays import figures, moments, words
from ledger.store.projected.tables import TableShape
from ledger.store.projected.tracks import Track

NEVER: Final = "'-infinity'::timestamptz"
"""Sorts whoever never made a call."""


class PersonRow(NamedTuple):
    """Tokens are billable ones; `last_call_at` None: never."""

    account_id: str
    plan: str
    status: str
    monthly_used: int
    monthly_limit: int
    credits: int
    debt: int
    last_call_at: datetime | None


_SORTED: Final = (
    "plan",
    "status",
    "monthly_used",
    "monthly_limit",
    "credits",
    "debt",
    f"coalesce(last_call_at, {NEVER})",
)
_TABLE: Final = TableShape(
    suffix="_people",
    view="people",
    columns={
        **dict.fromkeys(("account_id", "plan", "status"), 'text COLLATE "C" NOT NULL'),
        **dict.fromkeys(("monthly_used", "monthly_limit", "credits", "debt"), "bigint NOT NULL"),
        "last_call_at": "timestamptz",
    },
    key=("account_id",),
    indexes_of_readers=tuple(f"btree ({column}, account_id)" for column in _SORTED),
    # Erased there, they are gone here.
    joined=("name", "email"),
    join="LEFT JOIN ledger.profiles AS profile USING (account_id)",
)
PEOPLE_SHAPES: Final = (_TABLE,)
assert tuple(_TABLE.columns) == PersonRow._fields, "a person is a row, column by column"

_ARRAYS: Final = ", ".join(
    (
        *("$1::text::text[]", "$2::text::text[]", "$3::text::text[]", "$4::text::bigint[]", "$5::text::bigint[]"),
        *("$6::text::bigint[]", "$7::text::bigint[]", "$8::text::timestamptz[]"),
    )
)
_COLUMNS: Final = ", ".join(PersonRow._fields)
_ANEW: Final = ", ".join(f"{name} = excluded.{name}" for name in PersonRow._fields[1:])


async def write_people(connection: asyncpg.Connection, track: Track, people: Iterable[PersonRow]) -> None:
    """Keep people as they are after a page; who is unchanged is not written."""
    table = _TABLE.name_in(track)
    account_ids, plans, statuses, used, limits, lots, debts, last_calls = zip(*people, strict=True)
    before, after = (", ".join(f"{row}.{name}" for name in PersonRow._fields[1:]) for row in ("known", "excluded"))
    await connection.execute(
        f"""
        INSERT INTO {table} AS known ({_COLUMNS}) SELECT * FROM unnest({_ARRAYS})
        ON CONFLICT (account_id) DO UPDATE SET {_ANEW} WHERE ({before}) IS DISTINCT FROM ({after})
        """,  # noqa: S608  names of our own
        *(words(account_ids), words(plans), words(statuses)),
        *(figures(used), figures(limits), figures(lots), figures(debts)),
        moments(last_calls),
    )
