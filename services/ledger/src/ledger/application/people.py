"""People as operators look for them."""

from typing import Final

import asyncpg
from contracts.accounts import is_account_id
from contracts.errors import NotFoundError

from ledger.store.people import Person, people_by_part, person_by_id

MAX_FOUND: Final = 100
LEAST_PART: Final = 3
"""Letters that a search needs: people are found by three that stand together."""


async def find_people(connection: asyncpg.Connection, who: str) -> list[Person]:
    """The account of that id first, then people with `who` in name, e-mail or client's id: one more than `MAX_FOUND`.

    Raises:
        NotFoundError: nobody.
    """
    found: dict[str, Person] = {}
    if is_account_id(who) and (person := await person_by_id(connection, who)) is not None:
        found[who] = person
    if len(who) >= LEAST_PART:
        found |= {each.account_id: each for each in await people_by_part(connection, who, MAX_FOUND + 1)}
    if not found:
        raise NotFoundError(f"nobody found for {who!r}")
    return list(found.values())
