"""How fast somebody may do something, held for all processes in one table: GCRA, as much as one moment a key."""

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256

from chassis.postgres import DATABASE_ERRORS, statements
from msgspec import Struct
from sqlalchemy import delete, func, literal, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.store.tables import paces

PRUNED_AT_ONCE = 1_000


class Pace(Struct, frozen=True, kw_only=True):
    """`times` within `window`, all of them at once if need be; then one whenever its share of the window is over."""

    times: int
    window: timedelta

    @property
    def share(self) -> timedelta:
        return self.window / self.times


type Counted = tuple[str, Pace]
"""What is counted, by its key, and how fast that may be."""


def key_of(what: str, kind: str, name: str) -> str:
    """The key under which somebody's doing is counted; neither tokens nor addresses are kept."""
    return f"{what}:{kind}:{sha256(name.encode()).hexdigest()[:32]}"


async def take_all(engine: AsyncEngine, counted: Sequence[Counted]) -> str | None:
    """Count once for each of them, or for none: the key that is full, and then nothing of the others is used up."""
    for at, (key, pace) in enumerate(counted):
        if not await take(engine, key, pace):
            await give_back_all(engine, counted[:at])
            return key
    return None


async def give_back_all(engine: AsyncEngine, counted: Sequence[Counted]) -> None:
    """Let what was counted once for each of them not count; where Postgres is away it does."""
    with contextlib.suppress(*DATABASE_ERRORS):
        for key, pace in counted:
            await give_back(engine, key, pace)


async def take(engine: AsyncEngine, key: str, pace: Pace) -> bool:
    """Whether it may be done once more now, and is counted; `key` says who does what, and is no longer than 200."""
    now = func.clock_timestamp()
    full_from = now + literal(pace.window - pace.share)
    taking = insert(paces).values(key=key, full_until=now + literal(pace.share))
    counted = func.greatest(paces.c.full_until, now) + literal(pace.share)
    statement = taking.on_conflict_do_update(
        index_elements=[paces.c.key],
        set_={"full_until": counted},
        where=paces.c.full_until <= full_from,
    ).returning(paces.c.key)
    async with statements(engine) as connection:
        return (await connection.execute(statement)).one_or_none() is not None


async def give_back(engine: AsyncEngine, key: str, pace: Pace) -> None:
    """Let what was counted once not count."""
    statement = update(paces).where(paces.c.key == key).values(full_until=paces.c.full_until - literal(pace.share))
    async with statements(engine) as connection:
        await connection.execute(statement)


async def prune(engine: AsyncEngine) -> int:
    """Delete a page of keys that are as good as new; returns how many."""
    over = paces.c.key.in_(
        paces.select().with_only_columns(paces.c.key).where(paces.c.full_until < func.now()).limit(PRUNED_AT_ONCE)
    )
    async with statements(engine) as connection:
        return (await connection.execute(delete(paces).where(over, paces.c.full_until < func.now()))).rowcount
