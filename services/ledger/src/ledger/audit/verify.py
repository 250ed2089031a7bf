"""Checks everything that the log and its projections can tell, while traffic goes on."""

import time
from typing import Final

from msgspec import UNSET, Struct, UnsetType

from ledger.audit.checkpoints.document import Document
from ledger.audit.checkpoints.statement import Statement
from ledger.audit.extent import Checkpoint
from ledger.audit.problems import Problem, Problems
from ledger.audit.since import check_guard, check_since, not_of_this_log
from ledger.audit.survey import survey
from ledger.store.log import connect, newest_position

BLIND_TO: Final = (
    "the database's owner can rewrite history, its hashes, heads and states alike, or cut off its end together with "
    "the states, and all agrees again: only a checkpoint shows that which is kept, best signed, where the owner can't "
    "change it"
)
BLIND_TO_SINCE: Final = (
    "of before the checkpoint, only what the last event of an account is was compared, and how many events there are: "
    "bytes that were changed within are found in full, and so is a state that is not what the events say"
)
BLIND_TO_SINCE_BUT_STATES: Final = (
    "of before the checkpoint, only what the last event of an account is was compared, and how many events there are; "
    "snapshots are believed, and states of accounts to which nothing happened since: what is changed there is found in "
    "full"
)
BLIND_TO_AFTER: Final = "what was rewritten or cut off behind the checkpoint, states and all"


class Verified(Struct, frozen=True):
    """All is well, as far as the database, or a `signed` checkpoint, can tell; `blind_to` says what that can't."""

    events: int
    accounts: int
    seconds: float
    checkpoint: Checkpoint
    blind_to: str = BLIND_TO
    signed: Statement | UnsetType = UNSET


class VerifiedSince(Struct, frozen=True):
    """All is well with the `new_events` since the signed checkpoint, and nothing of before it was replaced."""

    new_events: int
    events: int
    accounts: int
    position: int
    seconds: float
    since: Statement
    blind_to: str = BLIND_TO_SINCE


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


async def verify(
    database_url: str, checkpoint: Checkpoint | None = None, signed: Document | None = None
) -> Verified | Broken:
    """One pass over what is stored now; each account's events, row and holds are compared as of one moment.

    A checkpoint of an earlier run is compared with what the log says of that time now; a signed one account by account.
    """
    started = time.perf_counter()
    found = await survey(database_url, checkpoint=checkpoint, signed=signed)
    problems = found.problems
    connection = await connect(database_url)
    try:
        await check_guard(connection, problems)
        if signed is not None:
            for problem in await not_of_this_log(connection, signed.statement):
                problems.add(problem)
    finally:
        connection.terminate()
    if checkpoint is not None and found.marked != checkpoint:
        problems.add(Problem(checkpoint.position, "", 0, _not_the_log_of(checkpoint, found.marked)))
    seconds = round(time.perf_counter() - started, 3)
    if problems.count:
        return broken(problems, found.whole.events, found.accounts, seconds)
    if signed is not None:
        return Verified(
            found.whole.events, found.accounts, seconds, found.whole, BLIND_TO_AFTER, signed=signed.statement
        )
    return Verified(found.whole.events, found.accounts, seconds, found.whole)


async def verify_since(database_url: str, signed: Document, *, states: bool = False) -> VerifiedSince | Broken:
    """Check what came since a checkpoint, and that the log up to it still is the one that was signed.

    With `states`, also that accounts to which something happened since are what their events, from a snapshot on, say.
    """
    started = time.perf_counter()
    problems, accounts, events = Problems(), 0, 0
    connection = await connect(database_url)
    try:
        newest = await newest_position(connection)
        async for head in check_since(connection, signed.statement, signed.heads(), newest, problems, states=states):
            accounts += 1
            events += head.version
    finally:
        connection.terminate()
    seconds = round(time.perf_counter() - started, 3)
    if problems.count:
        return broken(problems, events, accounts, seconds)
    new_events = events - signed.statement.events
    blind_to = BLIND_TO_SINCE_BUT_STATES if states else BLIND_TO_SINCE
    return VerifiedSince(new_events, events, accounts, newest, seconds, signed.statement, blind_to)


def _not_the_log_of(checkpoint: Checkpoint, found: Checkpoint | None) -> str:
    events = found.events if found else 0
    if events != checkpoint.events:
        return f"up to the checkpoint there were {checkpoint.events} events, now there are {events}"
    return "the events up to the checkpoint are not those that it was made of"


def broken(problems: Problems, events: int, accounts: int, seconds: float) -> Broken:
    """The first of the problems, of which there are some."""
    first = problems.first()[0]
    return Broken(
        position=first.position,
        account_id=first.account_id,
        version=first.version,
        reason=first.reason,
        problems=problems.count,
        events=events,
        accounts=accounts,
        seconds=seconds,
    )
