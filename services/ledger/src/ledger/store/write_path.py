"""The one write path: what a batch reads under locks and writes in one commit."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from ledger.domain.account import Account
from ledger.domain.holds import Hold
from ledger.store import schema
from ledger.store.codec import decode_account, decode_hold, encode
from ledger.store.rows import BatchState, Changes, EventRow, Key, LockedAccount, Premises, StoredCommand


async def insert_missing_accounts(connection: asyncpg.Connection, account_ids: Sequence[str]) -> None:
    """Statement 1: rows of version 0, sorted, so that two processes lock them in one order."""
    await connection.execute(schema.INSERT_ACCOUNTS, sorted(account_ids))


async def existing_accounts(connection: asyncpg.Connection, account_ids: Sequence[str]) -> set[str]:
    return {row[0] for row in await connection.fetch(schema.EXISTING_ACCOUNTS, account_ids)}


async def read_batch_state(
    connection: asyncpg.Connection,
    account_ids: Sequence[str],
    hold_keys: Sequence[Key],
    command_keys: Sequence[Key],
) -> BatchState:
    """Statements 2 and 3: lock the accounts, then read holds, commands and clock with a newer snapshot."""
    rows = await connection.fetch(
        schema.OPEN_BATCH, account_ids, [key[0] for key in hold_keys], [key[1] for key in hold_keys]
    )
    accounts: dict[str, LockedAccount] = {}
    holds: dict[Key, Hold] = {}
    clocks: list[datetime] = []
    for account_id, reservation_id, _, head, document, clock in rows:
        if reservation_id is not None:
            holds[account_id, reservation_id] = decode_hold(document)
            continue
        account = Account(account_id=account_id) if document is None else decode_account(document)
        accounts[account_id] = LockedAccount(account, head)
        clocks.append(clock)
    commands = {}
    if command_keys:
        found = await connection.fetch(
            schema.READ_COMMANDS, [key[0] for key in command_keys], [key[1] for key in command_keys]
        )
        commands = {(row[0], row[1]): StoredCommand(row[2], row[3]) for row in found}
    return BatchState(accounts, holds, commands, max(clocks))


async def write_changes(connection: asyncpg.Connection, changes: Changes) -> None:
    """Statements 5 and 6: commands, accounts and holds, then under the log's lock the events in order."""
    if changes.commands:
        await _write_commands(connection, changes)
    if changes.audit:
        await _write_audit(connection, changes)
    if not changes.events:
        return
    holds = changes.holds.values()
    await connection.execute(
        schema.APPEND_BATCH,
        list(changes.accounts),
        *_account_columns(changes.accounts.values()),
        [key[0] for key in changes.holds],
        [key[1] for key in changes.holds],
        [hold.state for hold in holds],
        [hold.reserved_at for hold in holds],
        [hold.expires_at for hold in holds],
        [encode(hold).decode() for hold in holds],
        *_event_columns(changes.events),
    )


async def append_if_current(connection: asyncpg.Connection, premises: Premises, changes: Changes) -> datetime | None:
    """Confirm the premises, write and commit in one round trip; returns the database's clock.

    None: a premise does not hold, and nothing was written.
    """
    versions, unseen, holds = premises.versions, premises.unseen, changes.holds
    # One order for everybody, so that two processes never wait for each other's rows.
    account_ids = sorted(changes.accounts)
    new = [key for key in holds if key in unseen]
    clock: datetime | None = await connection.fetchval(
        schema.APPEND_IF_CURRENT,
        premises.decided_at,
        *_pair_columns([(each, versions[each]) for each in versions if each not in changes.accounts]),
        *_pair_columns([key for key in unseen if key not in holds]),
        account_ids,
        [versions[account_id] for account_id in account_ids],
        *_account_columns([changes.accounts[account_id] for account_id in account_ids]),
        *_hold_columns(new, holds),
        [holds[key].reserved_at for key in new] or None,
        *_hold_columns([key for key in holds if key not in unseen], holds),
        *_event_columns(changes.events),
    )
    return clock


def _account_columns(accounts: Collection[LockedAccount]) -> tuple[list[Any], ...]:
    """Versions, heads, states and due times, as `ledger.append_batch` and `ledger.append_if_current` take them."""
    return (
        [locked.account.version for locked in accounts],
        [locked.head for locked in accounts],
        [encode(locked.account).decode() for locked in accounts],
        [locked.account.due_at for locked in accounts],
    )


def _hold_columns(keys: Sequence[Key], holds: Mapping[Key, Hold]) -> tuple[list[Any] | None, ...]:
    """Accounts, reservations, states, ends and records; without holds NULLs, which cost less than empty arrays."""
    if not keys:
        return (None,) * 5
    chosen = [holds[key] for key in keys]
    return (
        *_pair_columns(keys),
        [hold.state for hold in chosen],
        [hold.expires_at for hold in chosen],
        [encode(hold).decode() for hold in chosen],
    )


def _pair_columns(pairs: Sequence[tuple[Any, Any]]) -> tuple[list[Any] | None, ...]:
    """Two columns, or two NULLs."""
    return ([pair[0] for pair in pairs], [pair[1] for pair in pairs]) if pairs else (None, None)


def _event_columns(events: Sequence[EventRow]) -> tuple[list[Any], ...]:
    """The events' columns in the order of their table."""
    return (
        [event.account_id for event in events],
        [event.version for event in events],
        [event.id for event in events],
        [event.type for event in events],
        [event.recorded_at for event in events],
        [event.data for event in events],
        [event.hash for event in events],
    )


async def _write_commands(connection: asyncpg.Connection, changes: Changes) -> None:
    stored = list(changes.commands.values())
    await connection.execute(
        schema.INSERT_COMMANDS,
        [key[0] for key in changes.commands],
        [key[1] for key in changes.commands],
        [command.content_hash for command in stored],
        [command.answer for command in stored],
    )


async def _write_audit(connection: asyncpg.Connection, changes: Changes) -> None:
    entries = changes.audit
    await connection.execute(
        schema.INSERT_AUDIT,
        [audit.id for _, audit in entries],
        [audit.actor for _, audit in entries],
        [audit.action for _, audit in entries],
        [account_id for account_id, _ in entries],
        [audit.reason for _, audit in entries],
        [encode(audit.details).decode() for _, audit in entries],
    )
