"""Checks what came since a checkpoint, and that nothing of before it has changed: the price is that of what came.

Each new event is chained to the one before it, down to the heads that the checkpoint signed. Accounts that nothing
happened to must have those heads still.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final, cast

import asyncpg
from contracts.accounts import is_account_id
from msgspec import Struct

from ledger.audit.checkpoints.heads import Head, difference
from ledger.audit.checkpoints.statement import Statement
from ledger.audit.problems import Problem, Problems
from ledger.audit.states import check_states
from ledger.audit.walk import odd_columns
from ledger.store.codec import GENESIS, UnknownEventTypeError, chain_hash, decode_event
from ledger.store.heads import HeadRow, count_events, first_event_id, head_rows, load_hashes
from ledger.store.log import StoredRow, is_history_guarded, newest_position, rows_between

PAGE: Final = 2_000
UNGUARDED: Final = (
    "the trigger that refuses to change or delete events is missing or switched off: nothing here shows what was "
    "rewritten meanwhile, only a checkpoint of before"
)


class _Moved(Struct):
    """An account that something happened to: its head before, and its head now."""

    base: Head
    head: Head
    position: int


class Window:
    """The events from behind one position up to another, each checked against the one before it."""

    def __init__(self, problems: Problems) -> None:
        self.events = 0
        self.moved: dict[str, _Moved] = {}
        self._problems = problems

    async def walk(self, connection: asyncpg.Connection, after: int, up_to: int) -> None:
        """Take them all, in the order of their positions."""
        async for records in rows_between(connection, after + 1, up_to, size=PAGE):
            rows = cast(list[StoredRow], records)  # records have the fields of the rows, in their order
            await self._meet_accounts(connection, rows)
            for row in rows:
                self._take(row)
            self.events += len(rows)

    async def _meet_accounts(self, connection: asyncpg.Connection, rows: Sequence[StoredRow]) -> None:
        first: dict[str, int] = {}
        for _, account_id, version, *_ in rows:
            if account_id not in self.moved:
                first.setdefault(account_id, version)
        before = [(account_id, version - 1) for account_id, version in first.items() if version > 1]
        hashes = await load_hashes(connection, before) if before else {}
        for account_id, version in first.items():
            base = Head(account_id, version - 1, hashes.get((account_id, version - 1), GENESIS))
            self.moved[account_id] = _Moved(base, base, 0)

    def _take(self, row: StoredRow) -> None:
        position, account_id, version, _, event_type, _, data, stored_hash = row
        moved = self.moved[account_id]
        reason: str | None = None
        if version != moved.head.version + 1:
            reason = f"version {version} after version {moved.head.version}"
        elif chain_hash(moved.head.hash, account_id, version, data) != stored_hash:
            reason = "its hash is not that of the previous hash and its bytes"
        else:
            try:
                if named := odd_columns(row, decode_event(event_type, data)):
                    reason = f"its bytes say otherwise than its columns: {named}"
            except UnknownEventTypeError:
                reason = f"unknown event type {event_type}"
            except Exception as error:  # bytes that were tampered with can break any assumption of the decoder
                reason = f"its bytes can't be decoded: {error}"
        if reason is not None:
            self._problems.add(Problem(position, account_id, version, reason))
        moved.head = Head(account_id, version, stored_hash)
        moved.position = position


async def heads_at(connection: asyncpg.Connection, position: int, problems: Problems) -> AsyncIterator[Head]:
    """Each account's last event up to `position`, by account id; rows that contradict the log are problems."""
    async for row in head_rows(connection, position):
        if (reason := _row_difference(row)) is not None:
            problems.add(Problem(None, row.account_id, row.row_version, reason))
        if row.version is None or row.hash is None:
            continue
        if is_account_id(row.account_id):
            yield Head(row.account_id, row.version, row.hash)
        else:  # nor is it a line of a checkpoint, perhaps
            problems.add(Problem(None, row.account_id, row.version, "no account can have such an id"))


async def check_since(
    connection: asyncpg.Connection,
    statement: Statement,
    base: Iterator[Head],
    up_to: int,
    problems: Problems,
    *,
    states: bool = False,
) -> AsyncIterator[Head]:
    """Check the log from the checkpoint up to `up_to`, and yield the heads there, by account id.

    `base` has the checkpoint's heads, in that order; what is wrong is added to `problems`, which are all there once
    the last head was taken. Memory holds the accounts that something happened to since. With `states`, theirs are
    compared with what the events since the last snapshot of each come to.
    """
    await check_guard(connection, problems)
    for problem in await not_of_this_log(connection, statement):
        problems.add(problem)
    window = Window(problems)
    await window.walk(connection, statement.position, up_to)
    if states:
        await check_states(connection, window.moved, problems)
    unseen = dict.fromkeys(window.moved)
    events, expected = 0, next(base, None)
    async for head in heads_at(connection, up_to, problems):
        while expected is not None and expected.account_id < head.account_id:
            _compare(expected, None, None, problems)
            unseen.pop(expected.account_id, None)
            expected = next(base, None)
        known = expected if expected is not None and expected.account_id == head.account_id else None
        if known is not None:
            expected = next(base, None)
        unseen.pop(head.account_id, None)
        _compare(known, head, window.moved.get(head.account_id), problems)
        events += head.version
        yield head
    while expected is not None:
        _compare(expected, None, None, problems)
        unseen.pop(expected.account_id, None)
        expected = next(base, None)
    for account_id in unseen:
        problems.add(Problem(None, account_id, 1, "the account has events but no state"))
    if not problems.count and (counted := await count_events(connection, up_to)) != events:
        reason = f"the accounts' last versions make {events} events, but {counted} are stored"
        problems.add(Problem(None, "", 0, reason))


async def check_guard(connection: asyncpg.Connection, problems: Problems) -> None:
    """That nobody can change or delete an event without saying so."""
    if not await is_history_guarded(connection):
        problems.add(Problem(None, "", 0, UNGUARDED))


async def not_of_this_log(connection: asyncpg.Connection, statement: Statement) -> list[Problem]:
    """Why the checkpoint is not one of this log, or is one of what is not there any more."""
    problems = []
    newest, first = await newest_position(connection), await first_event_id(connection)
    if newest < statement.position:
        reason = (
            f"checkpoint {statement.number} is newer than the database, which ends at position {newest} and not "
            f"{statement.position}: a backup was restored, or the end was cut off"
        )
        problems.append(Problem(None, "", 0, reason))
    if first != statement.ledger:
        reason = (
            f"checkpoint {statement.number} begins with another event than the log: it is of another ledger, or the "
            "log's beginning is not there any more"
        )
        problems.append(Problem(0, "", 0, reason))
    return problems


def _compare(known: Head | None, head: Head | None, moved: _Moved | None, problems: Problems) -> None:
    """An account of which the checkpoint knows `known` and the log has `head`; `moved` if something happened to it."""
    before = head if moved is None else moved.base
    if before is not None and before.version == 0:
        before = None
    account_id = (known or head or Head("", 0, b"")).account_id
    if (reason := difference(known, before)) is not None:
        version = (known or head or Head("", 0, b"")).version
        problems.add(Problem(moved.position if moved else None, account_id, version, reason))
    elif moved is not None and head != moved.head:
        reason = f"the log changed while it was read: version {moved.head.version} is not its last event"
        problems.add(Problem(moved.position, account_id, moved.head.version, reason))


def _row_difference(row: HeadRow) -> str | None:
    newest = row.newest_version or 0
    if row.row_version > newest:
        return f"events after version {newest} are missing: the state is of version {row.row_version}"
    if row.row_version < newest:
        return f"the state is of version {row.row_version}, the last event of version {newest}"
    if row.row_head != (row.newest_hash or GENESIS):
        return "the head is not the last event's hash"
    return None
