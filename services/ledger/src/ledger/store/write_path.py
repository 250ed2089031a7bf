"""The one write path: what a batch reads under locks and writes in one commit."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from ledger.domain.account import Account
from ledger.domain.holds import Hold
from ledger.store import schema
from ledger.store.codec import decode_account, decode_hold, encode
from ledger.store.rows import BatchState, Changes, Key, LockedAccount, Premises, StoredCommand


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
    await connection.execute(schema.APPEND_BATCH, *_columns(changes))


async def append_if_current(connection: asyncpg.Connection, premises: Premises, changes: Changes) -> datetime | None:
    """Lock, confirm the premises, write and commit in one round trip; returns the database's clock.

    None: a premise does not hold, and nothing was written.
    """
    unseen = premises.unseen
    clock: datetime | None = await connection.fetchval(
        schema.APPEND_IF_CURRENT,
        list(premises.versions),
        list(premises.versions.values()),
        premises.decided_at,
        [key[0] for key in unseen],
        [key[1] for key in unseen],
        *_columns(changes),
    )
    return clock


def _columns(changes: Changes) -> tuple[list[Any], ...]:
    """The rows as the arrays that `ledger.append_batch` takes, in its order."""
    accounts = changes.accounts.values()
    holds = changes.holds.values()
    events = changes.events
    return (
        list(changes.accounts),
        [locked.account.version for locked in accounts],
        [locked.head for locked in accounts],
        [encode(locked.account).decode() for locked in accounts],
        [locked.account.due_at for locked in accounts],
        [key[0] for key in changes.holds],
        [key[1] for key in changes.holds],
        [hold.state for hold in holds],
        [hold.reserved_at for hold in holds],
        [hold.expires_at for hold in holds],
        [encode(hold).decode() for hold in holds],
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
