"""Uses of vouchers: the order that a use becomes, its row and the count of the code's uses are written as one."""

from collections.abc import Sequence
from datetime import timedelta

from chassis.postgres import statements
from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.domain.history import Change
from billing.domain.orders import Order
from billing.domain.vouchers import Voucher
from billing.store.operator_tables import redemptions, voucher_batches, vouchers
from billing.store.orders import insert_order


async def find_voucher(engine: AsyncEngine, code_digest: bytes) -> Voucher | None:
    """The voucher whose code has this digest. One that was withdrawn ended when it was."""
    batch = voucher_batches.c
    query = (
        select(
            vouchers.c.id,
            vouchers.c.batch_id,
            vouchers.c.used,
            *(batch.tokens, batch.uses, batch.per_account, batch.expires_days),
            func.least(batch.ends_at, batch.withdrawn_at).label("ends_at"),  # NULL where both are
        )
        .join(voucher_batches, voucher_batches.c.id == vouchers.c.batch_id)
        .where(vouchers.c.code_digest == code_digest)
    )
    async with statements(engine) as connection:
        row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return Voucher(
        voucher_id=row.id,
        batch_id=row.batch_id,
        tokens=row.tokens,
        uses=row.uses,
        used=row.used,
        per_account=row.per_account,
        ends_at=row.ends_at,
        expires_days=row.expires_days,
    )


async def redeemed_orders(engine: AsyncEngine, voucher_id: int, account_id: str) -> list[str]:
    """The orders that the account's uses of the voucher became, in their order."""
    query = (
        select(redemptions.c.order_id)
        .where(redemptions.c.voucher_id == voucher_id, redemptions.c.account_id == account_id)
        .order_by(redemptions.c.number)
    )
    async with statements(engine) as connection:
        return list((await connection.execute(query)).scalars())


async def use_voucher(
    engine: AsyncEngine, voucher: Voucher, number: int, order: Order, changes: Sequence[Change]
) -> bool:
    """Write the account's use `number` of the voucher with its order; False where the use can't be had any more.

    That is: all uses are gone, the code has ended, or the account has use `number` already. The count comes last, so
    that whoever freezes in the middle keeps nobody else from the code.
    """
    batch = voucher_batches.c
    counting = (
        update(vouchers)
        .where(
            vouchers.c.id == voucher.voucher_id,
            batch.id == vouchers.c.batch_id,
            vouchers.c.used < batch.uses,
            or_(batch.ends_at.is_(None), batch.ends_at > func.now()),
            batch.withdrawn_at.is_(None),
        )
        .values(used=vouchers.c.used + 1)
    )
    use = {"voucher_id": voucher.voucher_id, "account_id": order.account_id, "number": number, "order_id": order.id}
    async with engine.connect() as connection, connection.begin() as transaction:
        # Due at once: if this process dies after the commit, the sweep goes on with it.
        await insert_order(connection, order, changes, look_after=timedelta(0))
        try:
            await connection.execute(insert(redemptions).values(use | {"redeemed_at": func.now()}))
        except IntegrityError:
            await transaction.rollback()
            return False
        if (await connection.execute(counting)).rowcount == 0:
            await transaction.rollback()
            return False
    return True
