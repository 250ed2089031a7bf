"""Claims: one process at a time sends to an account.

A claim is a row that lapses by itself, so no lock is held while a mail is on its way, and a process that died or froze
holds nobody up for longer than its lease. Whoever lost a claim changes nothing any more.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from chassis.postgres import statements
from contracts.events.registry import BILLING_EVENTS
from sqlalchemy import Exists, delete, exists, func, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.store.tables import claims

WAITS_FOR_NO_DISK: Final = func.set_config("synchronous_commit", "off", True)
"""Returned by statements whose effect need not outlive a crash of the database: the ledger's commits need the disk."""
_CLAIM: Final = text("""
    WITH oldest AS (
        SELECT account_id FROM notifier.messages AS waiting
        WHERE status IN ('pending', 'pending_alone') AND due_at <= now()
          AND account_id <> ALL (CAST(:but_not AS varchar[]))
          AND (event IS NULL OR event = ANY (CAST(:events AS varchar[])))
          AND NOT EXISTS (
              SELECT FROM notifier.claims WHERE claims.account_id = waiting.account_id AND claims.until > now()
          )
          -- Release 0.1 knows no claims: what it sends just now it took out of the queue alone.
          AND NOT EXISTS (
              SELECT FROM notifier.messages AS taken
              WHERE taken.account_id = waiting.account_id AND taken.status IN ('pending', 'pending_alone')
                AND taken.attempts > 0 AND taken.last_error IS NULL AND taken.due_at > now()
          )
        ORDER BY due_at
        LIMIT :at_most
    ), lapsed AS (
        -- Skipped where somebody holds the row: nobody may keep all others waiting for one account.
        SELECT account_id FROM notifier.claims
        WHERE account_id IN (SELECT account_id FROM oldest) AND until <= now()
        FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE notifier.claims SET holder = CAST(:holder AS uuid), until = now() + CAST(:lease AS interval)
        FROM lapsed WHERE claims.account_id = lapsed.account_id
        RETURNING claims.account_id
    ), begun AS (
        INSERT INTO notifier.claims (account_id, holder, until)
        SELECT DISTINCT account_id, CAST(:holder AS uuid), now() + CAST(:lease AS interval) FROM oldest
        WHERE NOT EXISTS (SELECT FROM notifier.claims WHERE claims.account_id = oldest.account_id)
        ORDER BY account_id
        ON CONFLICT (account_id) DO NOTHING
        RETURNING account_id
    )
    SELECT account_id, set_config('synchronous_commit', 'off', true)
    FROM (SELECT account_id FROM taken UNION ALL SELECT account_id FROM begun) AS claimed
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """This process alone may send to the account, until the lease ends or another takes over."""

    account_id: str
    holder: UUID


async def claim_due(
    engine: AsyncEngine, *, at_most: int, lease: timedelta, but_not: Collection[str] = ()
) -> list[Claim]:
    """Claim accounts with due messages that nobody else is sending to; `but_not` are this process's own."""
    holder = uuid4()
    values = {
        "at_most": at_most,
        "but_not": list(but_not),
        "events": list(BILLING_EVENTS),
        "holder": holder,
        "lease": lease,
    }
    async with statements(engine) as connection:
        claimed = (await connection.execute(_CLAIM, values)).scalars().all()
    return [Claim(account_id=account_id, holder=holder) for account_id in claimed]


async def extend(engine: AsyncEngine, claim: Claim, lease: timedelta) -> bool:
    """Whether the claim still holds; then the lease begins anew."""
    statement = update(claims).where(*is_held(claim)).values(until=func.now() + lease).returning(WAITS_FOR_NO_DISK)
    async with statements(engine) as connection:
        return (await connection.execute(statement)).one_or_none() is not None


def is_held(claim: Claim) -> tuple[Any, ...]:  # SQLAlchemy's comparisons
    """What is true of the claim's row."""
    return claims.c.account_id == claim.account_id, claims.c.holder == claim.holder


async def release(engine: AsyncEngine, claim: Claim) -> None:
    """Let others send to the account."""
    statement = delete(claims).where(*is_held(claim)).returning(WAITS_FOR_NO_DISK)
    async with statements(engine) as connection:
        await connection.execute(statement)


def holds(claim: Claim) -> Exists:
    """Whether the claim has not lapsed to another."""
    return exists().where(*is_held(claim))
