"""Whose turn it is: rows whose look is due, each taken by one process at a time."""

from datetime import timedelta
from typing import Any

from chassis.postgres import statements
from sqlalchemy import Column, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine


async def claim(engine: AsyncEngine, key: Column[Any], *, limit: int, lease: timedelta) -> list[str]:
    """Keys of rows of `key`'s table whose `look_due_at` has come, the oldest first.

    Others leave them alone until the lease is over: then whoever took them has died, or failed.
    """
    due_at = key.table.c.look_due_at
    due = select(key).where(due_at <= func.now()).order_by(due_at).limit(limit).with_for_update(skip_locked=True)
    claiming = update(key.table).where(key.in_(due.scalar_subquery())).values(look_due_at=func.now() + lease)
    async with statements(engine) as connection:
        return list((await connection.execute(claiming.returning(key))).scalars())
