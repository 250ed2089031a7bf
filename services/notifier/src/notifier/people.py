"""What is kept about one person's mails, as operators hand it out or erase it."""

import json

from chassis.postgres import create_engine

from notifier.store.people import delete_messages, load_messages


async def load_mails(database_url: str, account_id: str) -> list[str]:
    """One JSON line `{"mail": {…}}` for each thing that the person was or is to be told, oldest first."""
    engine = create_engine(database_url, service="notifier-operate")
    try:
        rows = await load_messages(engine, account_id)
    finally:
        await engine.dispose()
    return [json.dumps({"mail": row}, default=str) for row in rows]


async def erase_mails(database_url: str, account_id: str) -> str:
    """Erase them, so that nothing that waits is sent either; returns a JSON line with their number."""
    engine = create_engine(database_url, service="notifier-operate")
    try:
        erased = await delete_messages(engine, account_id)
    finally:
        await engine.dispose()
    return json.dumps({"account_id": account_id, "mails_erased": erased})
