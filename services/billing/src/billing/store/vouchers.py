"""Vouchers: batches of codes, of which only digests are stored, and their uses."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis.postgres import statements
from msgspec import Struct
from sqlalchemy import ARRAY, LargeBinary, Row, func, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.store.operator_tables import redemptions, voucher_batches, vouchers


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """Codes of one kind: each has `uses`, of which one account may have `per_account`; each use gives `tokens`."""

    tokens: int
    uses: int
    per_account: int
    ends_at: datetime | None
    expires_days: int | None
    made_by: str
    reason: str


class BatchLine(Struct, frozen=True, omit_defaults=True):
    """A batch as it is listed; `used` of `codes` times `uses` are gone."""

    batch_id: int
    codes: int
    tokens: int
    uses: int
    per_account: int
    used: int
    made_at: datetime
    made_by: str
    reason: str
    ends_at: datetime | None = None
    expires_days: int | None = None
    withdrawn_at: datetime | None = None
    withdrawn_by: str | None = None
    withdrawn_why: str | None = None


class UseLine(Struct, frozen=True):
    """Who used a code of a batch, and the order that gave the tokens."""

    batch_id: int
    voucher_id: int
    account_id: str
    order_id: str
    redeemed_at: datetime


async def insert_batch(engine: AsyncEngine, batch: NewBatch, digests: Sequence[bytes]) -> int:
    """Returns the batch's id; all of it is there, or nothing."""
    values = {
        "tokens": batch.tokens,
        "uses": batch.uses,
        "per_account": batch.per_account,
        "ends_at": batch.ends_at,
        "expires_days": batch.expires_days,
        "made_by": batch.made_by,
        "reason": batch.reason,
        "made_at": func.now(),
    }
    async with engine.begin() as connection:
        batch_id: int = (
            await connection.execute(insert(voucher_batches).values(values).returning(voucher_batches.c.id))
        ).scalar_one()
        codes = select(literal(batch_id), func.unnest(literal(digests, ARRAY(LargeBinary))))
        await connection.execute(insert(vouchers).from_select(["batch_id", "code_digest"], codes))
    return batch_id


async def withdraw_batch(engine: AsyncEngine, batch_id: int, *, by: str, why: str) -> bool:
    """Let no code of the batch be used any more; False where there is no such batch, or it was withdrawn before."""
    statement = (
        update(voucher_batches)
        .where(voucher_batches.c.id == batch_id, voucher_batches.c.withdrawn_at.is_(None))
        .values(withdrawn_at=func.now(), withdrawn_by=by, withdrawn_why=why)
    )
    async with statements(engine) as connection:
        return (await connection.execute(statement)).rowcount == 1


async def load_batches(engine: AsyncEngine) -> list[BatchLine]:
    """All batches, the oldest first."""
    counts = (
        select(vouchers.c.batch_id, func.count().label("codes"), func.sum(vouchers.c.used).label("used"))
        .group_by(vouchers.c.batch_id)
        .subquery()
    )
    query = (
        select(voucher_batches, counts.c.codes, counts.c.used)
        .join(counts, counts.c.batch_id == voucher_batches.c.id)
        .order_by(voucher_batches.c.id)
    )
    async with statements(engine) as connection:
        return [_batch_line(row) for row in await connection.execute(query)]


async def load_uses(engine: AsyncEngine, batch_id: int) -> list[UseLine] | None:
    """The uses of a batch's codes, the oldest first; None where there is no such batch."""
    known = select(voucher_batches.c.id).where(voucher_batches.c.id == batch_id)
    query = (
        select(redemptions)
        .join(vouchers, vouchers.c.id == redemptions.c.voucher_id)
        .where(vouchers.c.batch_id == batch_id)
        .order_by(redemptions.c.redeemed_at, redemptions.c.order_id)
    )
    async with statements(engine) as connection:
        if (await connection.execute(known)).one_or_none() is None:
            return None
        return [
            UseLine(
                batch_id=batch_id,
                voucher_id=row.voucher_id,
                account_id=row.account_id,
                order_id=row.order_id,
                redeemed_at=row.redeemed_at,
            )
            for row in await connection.execute(query)
        ]


def _batch_line(row: Row[Any]) -> BatchLine:  # of all columns
    return BatchLine(
        batch_id=row.id,
        codes=row.codes,
        tokens=row.tokens,
        uses=row.uses,
        per_account=row.per_account,
        used=int(row.used),
        made_at=row.made_at,
        made_by=row.made_by,
        reason=row.reason,
        ends_at=row.ends_at,
        expires_days=row.expires_days,
        withdrawn_at=row.withdrawn_at,
        withdrawn_by=row.withdrawn_by,
        withdrawn_why=row.withdrawn_why,
    )
