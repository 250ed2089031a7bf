"""People as operators look for them, hand out what is kept of them, and forget them."""

from collections.abc import AsyncIterator
from typing import Final

import asyncpg
from chassis.ids import new_uuid7
from chassis.operators import operator
from contracts.accounts import is_account_id
from contracts.balance import Balance
from contracts.errors import NotFoundError
from msgspec import Struct

from ledger.application.balances import account_now
from ledger.application.event_lines import EventLine, event_lines
from ledger.application.lots import LotLine, lots_of
from ledger.store.log import MAX_POSITION
from ledger.store.people import Audited, Person, audit_of, erase_person, people_by_part, person_by_id
from ledger.store.rows import AuditEntry

MAX_FOUND: Final = 100
LEAST_PART: Final = 3
"""Letters that a search needs: people are found by three that stand together."""


class Exported(Struct, frozen=True, omit_defaults=True):
    """One line of an export: one of these."""

    profile: Person | None = None
    balance: Balance | None = None
    lot: LotLine | None = None
    audit: Audited | None = None
    event: EventLine | None = None


class Forgotten(Struct, frozen=True):
    """`erased` is False where nothing personal was kept."""

    account_id: str
    erased: bool


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


async def export_person(connection: asyncpg.Connection, account_id: str) -> AsyncIterator[Exported]:
    """Profile, balance, lots, audit and events.

    Raises:
        NotFoundError: neither an account nor a profile.
    """
    yield Exported(profile=await _person(connection, account_id))
    try:
        yield Exported(balance=(await account_now(connection, account_id)).balance())
    except NotFoundError:
        return
    for lot in await lots_of(connection, account_id):
        yield Exported(lot=lot)
    async for entry in audit_of(connection, account_id):
        yield Exported(audit=entry)
    async for lines in event_lines(connection, 1, MAX_POSITION, account_id):
        for line in lines:
            yield Exported(event=line)


async def forget_person(connection: asyncpg.Connection, account_id: str, reason: str) -> Forgotten:
    """Erase what is personal; the account's figures and its events, which name nobody, stay.

    Raises:
        NotFoundError: neither an account nor a profile.
    """
    await _person(connection, account_id)
    audit = AuditEntry(id=new_uuid7(), actor=operator(), action="forget", reason=reason, details={})
    return Forgotten(account_id, await erase_person(connection, account_id, audit))


async def _person(connection: asyncpg.Connection, account_id: str) -> Person:
    person = await person_by_id(connection, account_id)
    if person is None:
        raise NotFoundError(f"no account {account_id}")
    return person
