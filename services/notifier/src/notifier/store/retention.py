"""Deletes what nobody needs any more, oldest first, in small batches found by index."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, DateTime, Table, delete, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from notifier.store.tables import claims, dead_letters, inbox, messages

BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Rows of a table whose `moment` is longer ago than `keep` may go."""

    table: Table
    moment: ColumnElement[DateTime]
    keep: timedelta


RULES: Final[Sequence[Rule]] = (
    # A key must be known for as long as its cycle may tell it again, or a receipt is worth telling: a month.
    Rule(table=messages, moment=messages.c.finished_at, keep=timedelta(days=90)),
    # What is published again after that is too old to be mailed.
    Rule(table=inbox, moment=inbox.c.handled_at, keep=timedelta(days=45)),
    # Nobody has retried it in half a year, or it was retried long ago.
    Rule(table=dead_letters, moment=dead_letters.c.failed_at, keep=timedelta(days=180)),
    # Of processes that died while the account's last mail was sent by nobody else.
    Rule(table=claims, moment=claims.c.until, keep=timedelta(days=1)),
)


async def prune_batch(engine: AsyncEngine, rule: Rule) -> int:
    """Delete one batch; returns how many rows went, fewer than `BATCH` when nothing is left."""
    key = list(rule.table.primary_key)
    oldest = (
        select(*key)
        .where(rule.moment < func.now() - rule.keep)
        .order_by(rule.moment)
        .limit(BATCH)
        .with_for_update(skip_locked=True)  # another process may be at it
        .cte("oldest")
    )
    matches = [column == oldest.c[column.name] for column in key]
    async with engine.begin() as connection:
        return (await connection.execute(delete(rule.table).where(*matches))).rowcount
