"""Which of Stripe's customers a payer is."""

from chassis.postgres import statements
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.store.tables import customers


async def load_customer(engine: AsyncEngine, payer_id: str, *, livemode: bool) -> str | None:
    """The payer's customer in that mode."""
    query = select(customers.c.customer_id).where(customers.c.payer_id == payer_id, customers.c.livemode == livemode)
    async with statements(engine) as connection:
        return (await connection.execute(query)).scalar_one_or_none()


async def keep_customer(engine: AsyncEngine, payer_id: str, customer_id: str, *, livemode: bool) -> str:
    """Keep it unless another one was kept meanwhile; the one that is kept."""
    values = {"payer_id": payer_id, "livemode": livemode, "customer_id": customer_id, "created_at": func.now()}
    statement = insert(customers).values(values).on_conflict_do_nothing()
    async with statements(engine) as connection:
        await connection.execute(statement)
    return await load_customer(engine, payer_id, livemode=livemode) or customer_id


async def forget_customer(engine: AsyncEngine, customer_id: str) -> None:
    """Stripe knows it no more: the next purchase makes another one."""
    async with statements(engine) as connection:
        await connection.execute(delete(customers).where(customers.c.customer_id == customer_id))
