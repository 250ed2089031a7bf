"""The one write path: a batch reads without locks, and one statement confirms, writes and commits what was decided."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
from contracts.codec import encode
from msgspec import Struct

from ledger.domain.account import STATE_FORMAT, Account
from ledger.domain.evolve import evolve
from ledger.domain.holds import Hold
from ledger.store import schema
from ledger.store.codec import GENESIS, decode_account, decode_hold, decode_lot, format_of
from ledger.store.facts import facts_of
from ledger.store.rows import BatchState, ChainedAccount, Changes, Key, Premises, StoredCommand

type Rows = Sequence[tuple[Any, ...]]
type Columns = Sequence[list[Any] | None]
"""One list a column; without rows NULLs, which cost less than empty arrays."""


class Appended(NamedTuple):
    """What a write came to: the database's clock then, and the accounts of which nothing was written."""

    clock: datetime
    stale: frozenset[str]


class Append(Struct, kw_only=True):
    """What one write takes for granted and brings: the groups of rows of `schema.APPENDED`."""

    accounts: Rows
    unchanged: Rows
    unseen: Rows
    new_holds: Rows
    changed_holds: Rows
    lots: Rows
    commands: Rows
    audit: Rows
    events: Rows

    def columns(self) -> Columns:
        """Of all groups, in the order in which the function is given them."""
        columns: list[list[Any] | None] = []
        for name, parameters in schema.APPENDED.items():
            if rows := getattr(self, name):
                columns += map(list, zip(*rows, strict=True))
            else:
                columns += [None] * len(parameters)
        return columns


async def read_batch(
    connection: asyncpg.Connection,
    account_ids: Sequence[str],
    hold_keys: Sequence[Key],
    command_keys: Sequence[Key],
    lot_keys: Sequence[Key] = (),
) -> BatchState:
    """Accounts, holds, commands, lots and the clock, of one moment and without a lock.

    An account without a row, or never opened, is one of version 0. What can't be decoded stands in `unreadable`.
    """
    rows = await connection.fetch(
        schema.READ_BATCH,
        list(account_ids),
        *_columns(hold_keys, width=2),
        *_columns(command_keys, width=2),
        *_columns(lot_keys, width=2),
    )
    clock: datetime = rows[0][6]
    state = BatchState({}, {}, {}, clock)
    for kind, account_id, name, head, document, content_hash, _ in rows:
        try:
            if kind == 1:
                state.accounts[account_id] = ChainedAccount(decode_account(document), head)
                if format_of(document) < STATE_FORMAT:
                    state.outdated.add(account_id)
            elif kind == 2:
                state.holds[account_id, name] = decode_hold(document)
            elif kind == 3:
                state.commands[account_id, name] = StoredCommand(content_hash, document)
            elif kind == 4:
                state.lots[account_id, name] = decode_lot(document)
        except Exception as error:
            state.unreadable[account_id] = error
    for account_id in account_ids:
        if account_id not in state.unreadable:
            state.accounts.setdefault(account_id, ChainedAccount(Account(account_id=account_id), GENESIS))
    return state


async def fold_anew(connection: asyncpg.Connection, account_id: str, version: int) -> Account:
    """The account as its events up to `version` make it, for a state of an earlier format."""
    account = Account(account_id=account_id)
    async for fact in facts_of(connection, account_id, last=version):
        account = evolve(account, fact.data, fact.time)
    if account.version < version:
        raise LookupError(f"the log of account {account_id} ends at version {account.version} of {version}")
    return account


async def append_current(
    connection: asyncpg.Connection, premises: Premises, changes: Changes, *, careful: bool = False
) -> Appended | None:
    """Write and commit, in one round trip, what was decided on accounts that still stand as it was decided on.

    Accounts that have moved on are told as stale, and nothing of them is written. `careful` passes over rows that
    somebody else has locked, and tells them as stale too, where else the whole batch waits a little for them.
    None: a premise that is not about one account does not hold, or a row stayed locked; nothing was written.
    """
    columns = _append_of(premises, changes).columns()
    row = await connection.fetchrow(schema.APPEND_CURRENT, premises.decided_at, careful, *columns)
    assert row is not None, "the function answers one row"
    return None if row["clock"] is None else Appended(row["clock"], frozenset(row["stale"] or ()))


def _append_of(premises: Premises, changes: Changes) -> Append:
    versions, holds = premises.versions, changes.holds
    # One order for everybody, so that two processes never wait for each other's rows.
    accounts = [changes.accounts[account_id] for account_id in sorted(changes.accounts)]
    return Append(
        accounts=[
            (
                chained.account.account_id,
                versions[chained.account.account_id],
                chained.account.version,
                chained.head,
                encode(chained.account).decode(),
                chained.account.due_at,
            )
            for chained in accounts
        ],
        unchanged=[(each, versions[each]) for each in versions if each not in changes.accounts],
        unseen=[key for key in premises.unseen if key not in holds],
        new_holds=[
            (*_hold_row(key, hold), hold.reserved_at) for key, hold in holds.items() if key not in premises.known_holds
        ],
        changed_holds=[_hold_row(key, hold) for key, hold in holds.items() if key in premises.known_holds],
        lots=[(*key, encode(lot).decode()) for key, lot in changes.lots.items()],
        commands=[(*key, command.content_hash, command.answer) for key, command in changes.commands.items()],
        audit=[
            (account_id, audit.id, audit.actor, audit.action, audit.reason, encode(audit.details).decode())
            for account_id, audit in changes.audit
        ],
        events=[
            (event.account_id, event.version, event.id, event.type, event.recorded_at, event.data, event.hash)
            for event in changes.events
        ],
    )


def _hold_row(key: Key, hold: Hold) -> tuple[Any, ...]:
    return *key, hold.state, hold.expires_at, encode(hold).decode()


def _columns(rows: Rows, *, width: int) -> Columns:
    return tuple(map(list, zip(*rows, strict=True))) if rows else (None,) * width
