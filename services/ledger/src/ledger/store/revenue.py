"""Money as billing tells of it, `revenue.movements`: each movement once, under the name that billing has for it."""

from collections.abc import AsyncIterator
from datetime import datetime
from enum import StrEnum
from typing import Final

import asyncpg
from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_NOTE: Final = text("""
INSERT INTO revenue.movements (key, account_id, order_id, kind, amount_minor, currency, moved_at)
VALUES (:key, :account_id, :order_id, :kind, :amount_minor, :currency, :moved_at) ON CONFLICT (key) DO NOTHING
""")
_OF_ACCOUNT: Final = """
SELECT key, account_id, order_id, kind, amount_minor, currency, moved_at FROM revenue.movements
WHERE account_id = $1 ORDER BY moved_at, key
"""


class MovementKind(StrEnum):
    """What moved the money; what comes back of a refund or a dispute is of the same kind, with the other sign."""

    PAID = "paid"
    REFUNDED = "refunded"
    DISPUTED = "disputed"


class Movement(Struct, frozen=True, kw_only=True):
    """`amount_minor` is in the currency's smallest unit, more than 0 where it came to us, less where it left.

    `key` is by what a repetition is known; `moved_at` when billing told of it.
    """

    key: str
    account_id: str
    order_id: str
    kind: MovementKind
    amount_minor: int
    currency: str
    moved_at: datetime


async def note_movement(connection: AsyncConnection, movement: Movement) -> None:
    """Keep it once; a statement that commits itself."""
    await connection.execute(_NOTE, asdict(movement) | {"kind": movement.kind.value})


async def movements_of(connection: asyncpg.Connection, account_id: str) -> AsyncIterator[Movement]:
    """What was paid for an account and went back, the oldest first; the caller has the transaction."""
    cursor = await connection.cursor(_OF_ACCOUNT, account_id)
    while rows := await cursor.fetch(1_000):
        for row in rows:
            yield Movement(**{**row, "kind": MovementKind(row["kind"])})
