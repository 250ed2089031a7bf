"""What only the owner of the database can do to the log, and has to do on purpose."""

import asyncpg
from ledger.audit.differences import Projection
from ledger.audit.replay import replay
from ledger.store.codec import chain_hash

TABLES = ("events", "holds", "lots", "accounts")


async def tamper(owner: asyncpg.Connection, statement: str, *arguments: object) -> None:
    """Change events behind the back of the trigger that refuses it; the trigger stands again afterwards."""
    async with owner.transaction():
        await owner.execute("ALTER TABLE ledger.events DISABLE TRIGGER history_never_changes")
        await owner.execute(statement, *arguments)
        await owner.execute("ALTER TABLE ledger.events ENABLE ALWAYS TRIGGER history_never_changes")


async def rewrite_history(owner: asyncpg.Connection, url: str, account_id: str) -> None:
    """Have an account use gpt-5 where it used gpt-4: every hash, the state and its holds say so afterwards."""
    rows = await owner.fetch(
        "SELECT position, version, data FROM ledger.events WHERE account_id = $1 ORDER BY version", account_id
    )
    head, positions, datas, hashes = bytes(32), [], [], []
    for position, version, stored in rows:
        data = stored.replace(b"gpt-4", b"gpt-5")
        head = chain_hash(head, account_id, version, data)
        positions.append(position)
        datas.append(data)
        hashes.append(head)
    await tamper(
        owner,
        "UPDATE ledger.events AS event SET data = new.data, hash = new.hash"
        " FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS new (position, data, hash)"
        " WHERE event.position = new.position",
        positions,
        datas,
        hashes,
    )
    await replay(url, Projection.ALL)


async def cut_tail(owner: asyncpg.Connection, url: str, account_id: str, events: int) -> None:
    """Take an account's last events away, and make its state and holds what is left of them."""
    await tamper(
        owner,
        "DELETE FROM ledger.events WHERE account_id = $1 AND version >"
        " (SELECT max(version) - $2 FROM ledger.events WHERE account_id = $1)",
        account_id,
        events,
    )
    await owner.execute("DELETE FROM ledger.holds WHERE account_id = $1", account_id)
    await owner.execute("DELETE FROM ledger.lots WHERE account_id = $1", account_id)
    await owner.execute("DELETE FROM ledger.accounts WHERE account_id = $1", account_id)
    await replay(url, Projection.ALL)


async def remove_account(owner: asyncpg.Connection, account_id: str) -> None:
    """Take all away that tells of it."""
    for table in TABLES:
        await tamper(owner, f"DELETE FROM ledger.{table} WHERE account_id = $1", account_id)
