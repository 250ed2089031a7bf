"""Writes a whole history at once with COPY, into a ledger that nobody else writes."""

import asyncpg
from contracts.codec import encode
from ledger.store.rows import Changes

SCHEMA = "ledger"


async def copy_changes(connection: asyncpg.Connection, changes: Changes) -> None:
    """Append events, then holds, lots and accounts, of which none may exist; the caller has the transaction."""
    await connection.copy_records_to_table(
        "events",
        schema_name=SCHEMA,
        columns=("account_id", "version", "id", "type", "recorded_at", "data", "hash"),
        records=(
            (each.account_id, each.version, each.id, each.type, each.recorded_at, each.data, each.hash)
            for each in changes.events
        ),
    )
    await connection.copy_records_to_table(
        "holds",
        schema_name=SCHEMA,
        columns=("account_id", "reservation_id", "state", "reserved_at", "expires_at", "record"),
        records=(
            (*key, hold.state.value, hold.reserved_at, hold.expires_at, encode(hold).decode())
            for key, hold in changes.holds.items()
        ),
    )
    await connection.copy_records_to_table(
        "lots",
        schema_name=SCHEMA,
        columns=("account_id", "lot_id", "record"),
        records=((*key, encode(lot).decode()) for key, lot in changes.lots.items()),
    )
    await connection.copy_records_to_table(
        "accounts",
        schema_name=SCHEMA,
        columns=("account_id", "version", "head", "state", "due_at"),
        records=(
            (
                account_id,
                locked.account.version,
                locked.head,
                encode(locked.account).decode(),
                locked.account.due_at,
            )
            for account_id, locked in changes.accounts.items()
        ),
    )
