"""The grants of credits of an account, and what became of each."""

from datetime import datetime

import asyncpg
from contracts.events.credits import CreditsExpired, CreditsGranted, CreditsRestored, CreditsRevoked
from msgspec import Struct
from msgspec.structs import replace

from ledger.application.balances import account_now
from ledger.store.facts import facts_of

TYPES = (CreditsGranted, CreditsRevoked, CreditsRestored, CreditsExpired)


class LotLine(Struct, frozen=True, kw_only=True):
    """Tokens of one grant. What is neither remaining, still revoked nor expired was spent, or repaid debt as it came.

    `revoked` counts what revocations asked for, also what was spent already and became debt; `restored` is what of that
    was given back. A lot that a correction gave back has no grant of its own; an order's `reference` is the order.
    """

    lot_id: str
    granted: int
    revoked: int = 0
    restored: int = 0
    expired: int = 0
    remaining: int = 0
    expires_at: datetime | None = None
    source: str
    reference: str | None = None
    granted_at: datetime | None = None


async def lots_of(connection: asyncpg.Connection, account_id: str) -> list[LotLine]:
    """Every lot that the account ever had, oldest first.

    Raises:
        NotFoundError: no such account.
    """
    account = await account_now(connection, account_id)
    lots = await _granted(connection, account_id)
    for lot in account.lots:
        known = lots.get(lot.id) or LotLine(lot_id=lot.id, granted=0, source="correction", expires_at=lot.expires_at)
        lots[lot.id] = replace(known, remaining=lot.tokens)
    return list(lots.values())


async def _granted(connection: asyncpg.Connection, account_id: str) -> dict[str, LotLine]:
    lots: dict[str, LotLine] = {}
    async for fact in facts_of(connection, account_id, types=TYPES):
        match event := fact.data:
            case CreditsGranted():
                lots[event.lot_id] = LotLine(
                    lot_id=event.lot_id,
                    granted=event.tokens,
                    expires_at=event.expires_at,
                    source=event.source,
                    reference=event.reference,
                    granted_at=fact.time,
                )
            case CreditsRevoked() if event.lot_id in lots:
                known = lots[event.lot_id]
                lots[event.lot_id] = replace(known, revoked=known.revoked + event.tokens)
            case CreditsRestored() if event.lot_id in lots:
                known = lots[event.lot_id]
                lots[event.lot_id] = replace(known, restored=known.restored + event.tokens)
            case CreditsExpired() if event.lot_id in lots:
                known = lots[event.lot_id]
                lots[event.lot_id] = replace(known, expired=known.expired + event.tokens)
            case _:
                pass
    return lots
