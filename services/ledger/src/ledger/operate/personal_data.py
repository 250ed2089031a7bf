"""The verbs over what is held about one person."""

import contextlib

from chassis.operate.database import open_engine
from chassis.operate.document import write_document
from chassis.operate.output import write_line

from ledger.application.personal_data import SINGLE, export_person, forget_person
from ledger.operate.database import open_ledger
from ledger.operate.options import Account, ReasonOrNone


async def export(account: Account) -> None:
    """All that the ledger holds about the person of an account, as one JSON object."""
    async with (
        open_ledger() as connection,
        open_engine("ledger") as engine,
        contextlib.aclosing(export_person(connection, engine, account)) as held,
    ):
        await write_document(held, SINGLE)


async def forget(account: Account, reason: ReasonOrNone = None) -> None:
    """Erases the person's name, e-mail, language and client's id, and what was typed about them; the figures stay."""
    async with open_ledger() as connection, open_engine("ledger") as engine:
        write_line(await forget_person(connection, engine, account, reason or ""))
