"""Looks people up, tells all that is kept of one, and erases what is personal."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import asyncpg
from contracts.codec import encode
from msgspec import Raw, Struct

from ledger.store.rows import AuditEntry

_PERSON: Final = "account_id, email, name, locale, user_id, tags"
_PEOPLE_BY_PART: Final = f"""
SELECT {_PERSON} FROM ledger.profiles
WHERE ledger.trigrams(searched) @> ledger.trigrams(ledger.plain_letters($1))
AND position(ledger.plain_letters($1) IN searched) > 0
ORDER BY account_id LIMIT $2
"""  # noqa: S608  constants
_PERSON_BY_ID: Final = f"""
SELECT {_PERSON} FROM ledger.profiles WHERE account_id = $1
UNION ALL
SELECT account_id, NULL, NULL, NULL, NULL, NULL FROM ledger.accounts AS account
WHERE account_id = $1 AND version > 0
AND NOT EXISTS (SELECT FROM ledger.profiles AS known WHERE known.account_id = account.account_id)
"""  # noqa: S608  constants
_AUDIT_AFTER: Final = """
SELECT id, recorded_at, actor, action, reason, details FROM ledger.audit
WHERE account_id = $1 AND (recorded_at, id) > ($2, $3) ORDER BY recorded_at, id LIMIT 500
"""
_BEFORE_ALL: Final = (datetime(2000, 1, 1, tzinfo=UTC), UUID(int=0))
# In one statement: nobody is forgotten without a word about it, and no word is kept of what did not happen.
_FORGET: Final = """
WITH before AS (
    SELECT (email, name, locale, user_id, tags) IS DISTINCT FROM (NULL, NULL, NULL, NULL, NULL) AS held, forgotten_at
    FROM ledger.profiles WHERE account_id = $1
),
forgotten AS (
    INSERT INTO ledger.profiles (account_id, forgotten_at) VALUES ($1, now())
    ON CONFLICT (account_id) DO UPDATE
    SET email = NULL, name = NULL, locale = NULL, user_id = NULL, tags = NULL, forgotten_at = now(), updated_at = now()
),
noted AS (
    INSERT INTO ledger.audit (id, actor, action, account_id, reason, details)
    SELECT $2, $3, $4, $1, $5, $6 WHERE NOT EXISTS (SELECT FROM before WHERE NOT held AND forgotten_at IS NOT NULL)
)
SELECT coalesce((SELECT held FROM before), false), ledger.erase_reasons($1)
"""


class Person(Struct, frozen=True):
    """What is known of one person; `user_id` is what a pseudonym stands for."""

    account_id: str
    email: str | None
    name: str | None
    locale: str | None
    user_id: str | None
    tags: list[str] | None


class Audited(Struct, frozen=True):
    """One thing that somebody did to the account, and the reason that they gave."""

    id: UUID
    recorded_at: datetime
    actor: str
    action: str
    reason: str
    details: Raw


async def person_by_id(connection: asyncpg.Connection, account_id: str) -> Person | None:
    """The person of an account, as far as known; None where there is neither an account nor a profile."""
    row = await connection.fetchrow(_PERSON_BY_ID, account_id)
    return None if row is None else Person(*row)


async def people_by_part(connection: asyncpg.Connection, part: str, limit: int) -> list[Person]:
    """People with these letters, at least three, in name, e-mail, account id or the id that a pseudonym stands for."""
    return [Person(*row) for row in await connection.fetch(_PEOPLE_BY_PART, part, limit)]


async def audit_of(connection: asyncpg.Connection, account_id: str) -> AsyncIterator[Audited]:
    """What people did to one account, oldest first."""
    last: Sequence[object] = _BEFORE_ALL
    while rows := await connection.fetch(_AUDIT_AFTER, account_id, *last):
        for row in rows:
            yield Audited(**{**row, "details": Raw(row["details"].encode())})
        last = (rows[-1]["recorded_at"], rows[-1]["id"])


async def erase_person(connection: asyncpg.Connection, account_id: str, audit: AuditEntry) -> tuple[bool, int]:
    """Erase the profile and what was typed about the account, and note who did; killed in the midst, nothing is done.

    Returns whether a profile was kept, and how many reasons were typed.
    """
    row = await connection.fetchrow(
        _FORGET, account_id, audit.id, audit.actor, audit.action, audit.reason, encode(audit.details).decode()
    )
    assert row is not None, "the statement answers one row"
    return row[0], row[1]
