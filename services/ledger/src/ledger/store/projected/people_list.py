"""People as they are listed: found by a part of what is known of them, by any column, page by page, uncounted."""

from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import asyncpg
from msgspec import Struct

from ledger.store.projected.people_tables import about_moment, about_tokens

PAGE_PEOPLE: Final = 500
PAGE_OF_ALL: Final = 5_000
"""Where nobody is looked for, so that who is about the same is sorted fewer times."""
MET_ON_THE_WAY: Final = 5_000
"""So many are looked at in their order, before whoever has a part is looked for by its letters."""
MOST_FOUND: Final = 100_000
"""So many who have a part are sorted, which takes a second; more of them are met on the way."""
_PEOPLE: Final = "projections.people"
_FOUND: Final = """
SELECT account_id FROM ledger.profiles
WHERE ledger.trigrams(searched) @> ledger.trigrams($1) AND position($1 IN searched) > 0 LIMIT $2
"""


class PeopleSort(StrEnum):
    """By what people are sorted; then by their account's id."""

    ACCOUNT = "account"
    NAME = "name"
    EMAIL = "email"
    PLAN = "plan"
    STATUS = "status"
    USED = "used"
    LIMIT = "limit"
    CREDITS = "credits"
    DEBT = "debt"
    LAST_CALL = "last_call"


class _Leg(Struct, frozen=True):
    """People of whom `only` is true, by an `expression` that reads as `kind`.

    An index has it, or the column `about`, which `about_of` makes of it: who is about the same is sorted.
    """

    expression: str
    kind: str
    only: str = "true"
    about: str = ""
    about_of: Callable[[Any], int] | None = None  # Any: what the expression is
    turns: bool = True
    """Whether it is read the other way round where that is asked for."""


def _by_known(column: str) -> tuple[_Leg, _Leg]:
    """Those of whom it is known, then the rest, by their ids."""
    is_unknown = f"""NOT EXISTS (
        SELECT FROM ledger.profiles AS known WHERE known.account_id = person.account_id AND known.{column} IS NOT NULL
    )"""
    known = _Leg(f'ledger.plain_letters({column}) COLLATE "C"', "text", f"{column} IS NOT NULL")
    return known, _Leg("account_id", "text", is_unknown, turns=False)


def _by_about(column: str, kind: str, about: str, about_of: Callable[[Any], int]) -> tuple[_Leg, _Leg]:
    """Those of nothing, who may be nearly all, by their ids, and the rest."""
    none = _Leg("account_id", "text", f"{about} = 0")
    return none, _Leg(column, kind, f"{about} > 0", about=about, about_of=about_of)


_LEGS: Final[dict[PeopleSort, tuple[_Leg, ...]]] = {
    PeopleSort.ACCOUNT: (_Leg("account_id", "text"),),
    PeopleSort.NAME: _by_known("name"),
    PeopleSort.EMAIL: _by_known("email"),
    PeopleSort.PLAN: (_Leg("plan", "text"),),
    PeopleSort.STATUS: (_Leg("status", "text"),),
    PeopleSort.USED: _by_about("monthly_used", "bigint", "monthly_used_about", about_tokens),
    PeopleSort.LIMIT: (_Leg("monthly_limit", "bigint"),),
    PeopleSort.CREDITS: _by_about("credits", "bigint", "credits_about", about_tokens),
    PeopleSort.DEBT: (_Leg("debt", "bigint"),),
    PeopleSort.LAST_CALL: _by_about("last_call_at", "timestamptz", "last_call_about", about_moment),
}


class PersonLine(Struct, frozen=True):
    """A person as of the projection's position, names and addresses as of now; tokens are billable ones."""

    account_id: str
    name: str | None
    email: str | None
    plan: str
    status: str
    monthly_used: int
    monthly_limit: int
    credits: int
    debt: int
    last_call_at: datetime | None


class PeopleWanted(Struct, frozen=True, kw_only=True):
    """`part` is of a name, an e-mail or an id, at least three letters of it; None is everybody."""

    sort: PeopleSort = PeopleSort.ACCOUNT
    descending: bool = False
    part: str | None = None


class PeopleMark(Struct, frozen=True):
    """The last one of a page, after whom the next one goes on in that leg."""

    leg: int
    sorted_by: str | int | datetime
    account_id: str


class PeoplePage(Struct, frozen=True):
    """`mark` is None where nobody comes after these."""

    people: list[PersonLine]
    mark: PeopleMark | None


async def load_people_page(
    connection: asyncpg.Connection, wanted: PeopleWanted, after: PeopleMark | None = None, size: int = PAGE_PEOPLE
) -> PeoplePage:
    """The next people in that order; those of whom it is not known come last. The caller has a transaction.

    Each is read along an index from where the page before ended, so nobody counts or sorts all: of those who are about
    the same at most.
    """
    await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL jit = off")
    part = None if wanted.part is None else await connection.fetchval("SELECT ledger.plain_letters($1)", wanted.part)
    people: list[PersonLine] = []
    for number, leg in _legs_from(wanted, after):
        since = after if after is not None and number == after.leg else None
        way = _Way(leg, descending=wanted.descending and leg.turns, goes_on=since is not None)
        asked = [size - len(people), *way.stands(since)]
        if part is None:
            rows = await connection.fetch(way.all(), *asked)
        else:
            rows = await _search(connection, way, asked, part)
        people += [PersonLine(*row[1:]) for row in rows]
        if len(people) == size:
            return PeoplePage(people, PeopleMark(number, rows[-1][0], rows[-1][1]))
    return PeoplePage(people, None)


def _legs_from(wanted: PeopleWanted, after: PeopleMark | None) -> list[tuple[int, _Leg]]:
    """Those that are still to be read, with their numbers; the last one comes first where all are turned."""
    legs = [*enumerate(_LEGS[wanted.sort])]
    if wanted.descending and all(leg.turns for _, leg in legs):
        legs.reverse()
    first = 0 if after is None else [number for number, _ in legs].index(after.leg)
    return legs[first:]


async def _search(
    connection: asyncpg.Connection, way: "_Way", asked: Sequence[object], part: str
) -> list[asyncpg.Record]:
    """What is common is met soon on the way, what is rare is found by its letters and sorted: neither reads all.

    No estimate of the database's tells which it is. What is common and stands only far along the way takes its time.
    """
    if way.leg.turns:  # of those of whom it is not known there may be none to meet
        rows = await connection.fetch(way.met(), *asked, part, MET_ON_THE_WAY)
        if len(rows) == asked[0]:
            return list(rows)
    found = await connection.fetch(_FOUND, part, MOST_FOUND + 1)
    if len(found) <= MOST_FOUND:
        return list(await connection.fetch(way.among(), *asked, [row[0] for row in found]))
    return list(await connection.fetch(way.met(), *asked, part, None))


async def load_people(connection: asyncpg.Connection, wanted: PeopleWanted) -> AsyncGenerator[PersonLine]:
    """All of them, page by page, as of one moment."""
    size = PAGE_OF_ALL if wanted.part is None else PAGE_PEOPLE
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        page = await load_people_page(connection, wanted, size=size)
        while True:
            for person in page.people:
                yield person
            if page.mark is None:
                return
            page = await load_people_page(connection, wanted, page.mark, size)


class _Way(Struct, frozen=True):
    """A leg one way or the other, from its beginning or from where somebody stands ($2 to $4); $1 are wanted."""

    leg: _Leg
    descending: bool
    goes_on: bool

    def stands(self, mark: PeopleMark | None) -> tuple[object, object, object]:
        if mark is None:
            return None, None, None
        about_of = self.leg.about_of
        return mark.sorted_by, mark.account_id, None if about_of is None else about_of(mark.sorted_by)

    def all(self) -> str:
        return self._lines(f"{_PEOPLE} AS person WHERE {self._conditions}")

    def met(self) -> str:
        """Those with the part $5 among the next $6."""
        return self._lines(f"""(
            SELECT account_id FROM (
                SELECT account_id, {self.leg.expression} AS sorted_by FROM {_PEOPLE} AS person
                WHERE {self._conditions} ORDER BY {self._order} LIMIT $6
            ) AS next JOIN ledger.profiles AS profile USING (account_id)
            WHERE position($5 IN profile.searched) > 0 ORDER BY {self._order_of("sorted_by")} LIMIT $1
        ) AS met JOIN {_PEOPLE} AS person USING (account_id)""")  # noqa: S608  as below

    def among(self) -> str:
        """Those of the accounts $5."""
        return self._lines(
            f"unnest($5::text[]) AS found (account_id) JOIN {_PEOPLE} AS person USING (account_id)"
            f" WHERE {self._conditions}"
        )

    def _lines(self, source: str) -> str:
        columns = ", ".join(PersonLine.__struct_fields__)
        return f"SELECT {self.leg.expression}, {columns} FROM {source} ORDER BY {self._order} LIMIT $1"  # noqa: S608  expressions of our own

    @property
    def _order(self) -> str:
        about = f"{self.leg.about} {self._way}, " if self.leg.about else ""
        return about + self._order_of(self.leg.expression)

    def _order_of(self, by: str) -> str:
        return f"{by} {self._way}, account_id {self._way}"

    @property
    def _way(self) -> str:
        return "DESC" if self.descending else "ASC"

    @property
    def _conditions(self) -> str:
        beyond = "<" if self.descending else ">"
        mark = f"($2::{self.leg.kind}, $3::text)"
        # Where nobody stands anywhere these are null.
        since = f"({self.leg.expression}, account_id) {beyond} {mark}" if self.goes_on else f"{mark} IS NULL"
        is_about = f"{self.leg.about} {beyond}= $4" if self.goes_on and self.leg.about else "$4::bigint IS NULL"
        return f"{self.leg.only} AND {is_about} AND {since}"
