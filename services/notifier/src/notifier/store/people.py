"""The rows of one account: what a person was or is to be mailed, and what of it was given up."""

from collections.abc import AsyncGenerator

from chassis.postgres import statements
from contracts.accounts import subject_token
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.store.tables import LETTERS, messages


async def held_of(engine: AsyncEngine, account_id: str) -> AsyncGenerator[tuple[str, object]]:
    """Every column of every message and the dead letters, oldest first, each with what it is; times in ISO 8601."""
    rows = select(func.to_jsonb(messages.table_valued())).where(messages.c.account_id == account_id)
    async with statements(engine) as connection:
        for row in (await connection.execute(rows.order_by(messages.c.id))).scalars():
            yield "mails", row
    async for letter in LETTERS.load_about(engine, subject_token(account_id)):
        yield "dead_letters", LETTERS.listed(letter)


async def delete_messages(engine: AsyncEngine, account_id: str) -> int:
    """Returns how many went. A mail that is about to be handed over finds itself gone, and is not."""
    async with statements(engine) as connection:
        return (await connection.execute(delete(messages).where(messages.c.account_id == account_id))).rowcount
