"""The rows of one account: what a person was or is to be mailed. Dead letters, which hold figures, go by age."""

from typing import Any

from chassis.postgres import statements
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.store.tables import messages


async def load_messages(engine: AsyncEngine, account_id: str) -> list[dict[str, Any]]:
    """Every column of every message, times in ISO 8601."""
    rows = select(func.to_jsonb(messages.table_valued())).where(messages.c.account_id == account_id)
    async with statements(engine) as connection:
        return list((await connection.execute(rows.order_by(messages.c.id))).scalars())


async def delete_messages(engine: AsyncEngine, account_id: str) -> int:
    """Returns how many went. A mail that is about to be handed over finds itself gone, and is not."""
    async with statements(engine) as connection:
        return (await connection.execute(delete(messages).where(messages.c.account_id == account_id))).rowcount
