"""Checks everything that the log and its projections can tell, while traffic goes on."""

import time
from typing import Final

from msgspec import Struct

from ledger.audit.extent import Checkpoint
from ledger.audit.problems import Problem, Problems
from ledger.audit.survey import Survey, survey
from ledger.store.log import connect, is_history_guarded

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
    """One pass over what is stored now; each account's events, row and holds are compared as of one moment.

    A checkpoint of an earlier run is compared with what the log says of that time now.
    """
    started = time.perf_counter()
    found = await survey(database_url, checkpoint=checkpoint)
    problems = found.problems
    if not await _is_guarded(database_url):
        problems.add(Problem(None, "", 0, UNGUARDED))
    if checkpoint is not None and found.marked != checkpoint:
        problems.add(Problem(checkpoint.position, "", 0, _not_the_log_of(checkpoint, found.marked)))
    return _result(found, problems, round(time.perf_counter() - started, 3))


async def _is_guarded(database_url: str) -> bool:
    connection = await connect(database_url)
    try:
        return await is_history_guarded(connection)
    finally:
        connection.terminate()


def _not_the_log_of(checkpoint: Checkpoint, found: Checkpoint | None) -> str:
    events = found.events if found else 0
    if events != checkpoint.events:
        return f"up to the checkpoint there were {checkpoint.events} events, now there are {events}"
    return "the events up to the checkpoint are not those that it was made of"


def _result(found: Survey, problems: Problems, seconds: float) -> Verified | Broken:
    if problems.count:
        first = problems.first()[0]
        return Broken(
            position=first.position,
            account_id=first.account_id,
            version=first.version,
            reason=first.reason,
            problems=problems.count,
            events=found.whole.events,
            accounts=found.accounts,
            seconds=seconds,
        )
    return Verified(found.whole.events, found.accounts, seconds, found.whole)
