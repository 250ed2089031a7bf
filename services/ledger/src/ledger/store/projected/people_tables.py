"""The table of people, with an index for each column that they are sorted by; names are joined when it is read.

An index of what each call changes would have all others written anew with it. So what that is about has a column, which
seldom changes and has the index; of those who are about the same the few are sorted when they are read.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from ledger.store.arrays import figures, moments, words
from ledger.store.projected.tables import TableShape
from ledger.store.projected.tracks import Track

_HOUR_SECONDS: Final = 3_600
_FEWEST_BITS: Final = 13
"""Below 8,192 tokens all are about the same, but for none."""
_LEADING_BITS: Final = 5


def about_tokens(tokens: int) -> int:
    """A sixteenth less at most, never less where there are more; 0 is none."""
    bits = max(_FEWEST_BITS, tokens.bit_length() - _LEADING_BITS)
    return 0 if tokens <= 0 else max(1, tokens >> bits << bits)


def about_moment(moment: datetime | None) -> int:
    """The hour, counted from 1970; 0 is never."""
    return 0 if moment is None else int(moment.timestamp() // _HOUR_SECONDS)


class PersonRow(NamedTuple):
    """Tokens are billable ones; `last_call_at` None: never. `…_about` say it coarsely, in the same order."""

    account_id: str
    plan: str
    status: str
    monthly_used: int
    monthly_limit: int
    credits: int
    debt: int
    last_call_at: datetime | None
    monthly_used_about: int
    credits_about: int
    last_call_about: int


_SORTED: Final = ("plan", "status", "monthly_limit", "debt")
_ABOUT: Final = ("monthly_used_about", "credits_about", "last_call_about")
_TABLE: Final = TableShape(
    suffix="_people",
    view="people",
    columns={
        **dict.fromkeys(("account_id", "plan", "status"), 'text COLLATE "C" NOT NULL'),
        **dict.fromkeys(("monthly_used", "monthly_limit", "credits", "debt"), "bigint NOT NULL"),
        "last_call_at": "timestamptz",
        **dict.fromkeys(_ABOUT, "bigint NOT NULL"),
    },
    key=("account_id",),
    indexes_of_readers=tuple(f"btree ({column}, account_id)" for column in (*_SORTED, *_ABOUT)),
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
        *("$9::text::bigint[]", "$10::text::bigint[]", "$11::text::bigint[]"),
    )
)
_COLUMNS: Final = ", ".join(PersonRow._fields)
_ANEW: Final = ", ".join(f"{name} = excluded.{name}" for name in PersonRow._fields[1:])


async def write_people(connection: asyncpg.Connection, track: Track, people: Iterable[PersonRow]) -> None:
    """Keep people as they are after a page; who is unchanged is not written."""
    table = _TABLE.name_in(track)
    account_ids, plans, statuses, used, limits, lots, debts, last_calls, *about = zip(*people, strict=True)
    before, after = (", ".join(f"{row}.{name}" for name in PersonRow._fields[1:]) for row in ("known", "excluded"))
    await connection.execute(
        f"""
        INSERT INTO {table} AS known ({_COLUMNS}) SELECT * FROM unnest({_ARRAYS})
        ON CONFLICT (account_id) DO UPDATE SET {_ANEW} WHERE ({before}) IS DISTINCT FROM ({after})
        """,  # noqa: S608  names of our own
        *(words(account_ids), words(plans), words(statuses)),
        *(figures(used), figures(limits), figures(lots), figures(debts)),
        moments(last_calls),
        *map(figures, about),
    )
