"""What only the owner of the database can do to the log, and has to do on purpose."""

import asyncpg


async def tamper(owner: asyncpg.Connection, statement: str, *arguments: object) -> None:
    """Change events behind the back of the trigger that refuses it; the trigger stands again afterwards."""
    async with owner.transaction():
        await owner.execute("ALTER TABLE ledger.events DISABLE TRIGGER history_never_changes")
        await owner.execute(statement, *arguments)
        await owner.execute("ALTER TABLE ledger.events ENABLE ALWAYS TRIGGER history_never_changes")
