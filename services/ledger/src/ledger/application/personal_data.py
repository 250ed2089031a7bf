"""What is held about one person: handed out whole, and relieved of what is personal."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Final

import asyncpg
from chassis.ids import new_uuid7
from chassis.operators import operator
from contracts.accounts import subject_token
from contracts.errors import NotFoundError
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.application.balances import account_now
from ledger.application.event_lines import event_lines
from ledger.application.lots import lots_of
from ledger.store.dead_letters import LETTERS
from ledger.store.held_rows import held_rows
from ledger.store.log import MAX_POSITION, read_any_time
from ledger.store.people import Person, audit_of, erase_person, person_by_id
from ledger.store.requests.people import erase_requests, has_requested
from ledger.store.rows import AuditEntry

SINGLE: Final = frozenset({"account_id", "exported_at", "profile", "balance"})
"""What an export has one of; of the rest it has lists."""
_TOLD: Final = ("ledger.profiles", "ledger.audit", "ledger.events")
"""Tables that an export tells in words of its own."""


class Forgotten(Struct, frozen=True):
    """`erased` is False where no profile was kept; how many typed reasons and dead letters were emptied, and lines of
    the request log dropped."""

    account_id: str
    erased: bool
    reasons_erased: int
    letters_erased: int
    requests_erased: int


async def export_person(
    connection: asyncpg.Connection, engine: AsyncEngine, account_id: str
) -> AsyncGenerator[tuple[str, object]]:
    """All that is held about the person: what it is, and a piece of it, those of one kind together; of one moment.

    Raises:
        NotFoundError: neither an account nor a profile.
    """
    await read_any_time(connection)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        profile = await _person(connection, account_id)
        yield "account_id", account_id
        yield "exported_at", datetime.now(UTC)
        yield "profile", profile
        try:
            yield "balance", (await account_now(connection, account_id)).balance()
        except NotFoundError:
            pass
        else:
            for lot in await lots_of(connection, account_id):
                yield "lots", lot
            async for entry in audit_of(connection, account_id):
                yield "audit", entry
            async for lines in event_lines(connection, 1, MAX_POSITION, account_id):
                for line in lines:
                    yield "events", line
        async for name, row in held_rows(connection, account_id, told=_TOLD):
            yield name, row
    async for letter in LETTERS.load_about(engine, subject_token(account_id)):
        yield "dead_letters", LETTERS.listed(letter)


async def forget_person(connection: asyncpg.Connection, engine: AsyncEngine, account_id: str, reason: str) -> Forgotten:
    """Erase what is personal; the account's figures and its events, which name nobody, stay.

    Killed on the way, it is done again; that it was done is noted once, with the profile, which goes last.

    Raises:
        NotFoundError: neither an account nor a profile.
    """
    await _person(connection, account_id)
    by = operator()
    letters = await LETTERS.erase_about(engine, subject_token(account_id), by=by, reason="its person was forgotten")
    requests = await erase_requests(connection, account_id)
    audit = AuditEntry(id=new_uuid7(), actor=by, action="forget", reason=reason, details={})
    erased, reasons = await erase_person(connection, account_id, audit)
    return Forgotten(account_id, erased, reasons, letters, requests)


async def _person(connection: asyncpg.Connection, account_id: str) -> Person:
    person = await person_by_id(connection, account_id)
    if person is None and await has_requested(connection, account_id):
        return Person(account_id, None, None, None, None, None)
    if person is None:
        raise NotFoundError(f"no account {account_id}")
    return person
