"""Checks everything that the log and its projections can tell, while traffic goes on."""

import time
from itertools import batched
from typing import Final

import asyncpg
from msgspec import Struct

from ledger.operate.problems import MAX_KEPT, Problem, Problems
from ledger.operate.rebuild import HOLDS_AT_ONCE, Rebuild, differing_holds
from ledger.operate.snapshot import Checkpoint, Survey, open_snapshot
from ledger.store.log import is_history_guarded

BLIND_TO: Final = (
    "the database's owner can rewrite history, its hashes, heads and states alike, or cut off its end together with "
    "the states, and all agrees again: only a checkpoint shows that which is kept, best signed, where the owner can't "
    "change it"
)
UNGUARDED: Final = (
    "the trigger that refuses to change or delete events is missing or switched off: nothing here shows what was "
    "rewritten meanwhile, only a checkpoint of before"
)


class Verified(Struct, frozen=True):
    """All is well, as far as the database alone can tell; `blind_to` says what it can't."""

    events: int
    accounts: int
    seconds: float
    checkpoint: Checkpoint
    blind_to: str = BLIND_TO


class Broken(Struct, frozen=True):
    """The first bad event, and how many problems there are in all."""

    position: int | None
    account_id: str
    version: int
    reason: str
    problems: int
    events: int
    accounts: int
    seconds: float


async def verify(database_url: str, checkpoint: Checkpoint | None = None) -> Verified | Broken:
    """One pass over the log in one snapshot; log, accounts and holds of the same moment are compared.

    A checkpoint of an earlier run is compared with what the log says of that time now.
    """
    started = time.perf_counter()
    async with open_snapshot(database_url) as snapshot:
        survey = await snapshot.survey(checked=True, mark=checkpoint.position if checkpoint else None)
        problems = Problems()
        problems.merge(survey.problems, survey.problem_count)
        if not await is_history_guarded(snapshot.connection):
            problems.add(Problem(None, "", 0, UNGUARDED))
        if checkpoint is not None and survey.marked != checkpoint:
            problems.add(Problem(checkpoint.position, "", 0, _not_the_log_of(checkpoint, survey.marked)))
        for suspect in survey.suspects:
            if suspect.holds and not suspect.unsound and problems.count < MAX_KEPT:
                await _look_closer(snapshot.connection, suspect.account_id, problems)
    return _result(survey, problems, round(time.perf_counter() - started, 3))


async def _look_closer(connection: asyncpg.Connection, account_id: str, problems: Problems) -> None:
    """The account's holds one by one: their sums differ, though perhaps in the encoding alone."""
    rebuild = Rebuild(account_id)
    folded = rebuild.folded

    def found(reservation_id: str, reason: str) -> None:
        position = None if rebuild.is_empty else folded.position
        problems.add(Problem(position, account_id, folded.version, f"reservation {reservation_id}: {reason}"))

    async for holds in rebuild.final_holds(connection):
        for hold, reason in await differing_holds(connection, account_id, holds):
            found(hold.reservation_id, reason)
    for unfinished in batched(folded.unfinished.values(), HOLDS_AT_ONCE):
        for hold, reason in await differing_holds(connection, account_id, unfinished):
            found(hold.reservation_id, reason)
    async for reservation_id in rebuild.surplus_holds(connection):
        found(reservation_id, "the hold stands in no event")


def _not_the_log_of(checkpoint: Checkpoint, found: Checkpoint | None) -> str:
    events = found.events if found else 0
    if events != checkpoint.events:
        return f"up to the checkpoint there were {checkpoint.events} events, now there are {events}"
    return "the events up to the checkpoint are not those that it was made of"


def _result(survey: Survey, problems: Problems, seconds: float) -> Verified | Broken:
    if problems.count:
        first = problems.first()[0]
        return Broken(
            position=first.position,
            account_id=first.account_id,
            version=first.version,
            reason=first.reason,
            problems=problems.count,
            events=survey.whole.events,
            accounts=survey.accounts,
            seconds=seconds,
        )
    return Verified(survey.whole.events, survey.accounts, seconds, survey.whole)
