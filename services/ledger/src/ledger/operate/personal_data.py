"""The verbs over what is held about one person."""

import contextlib
import sys

from chassis.operate.database import open_engine
from chassis.operate.document import write_document
from chassis.operate.output import write_line
from contracts.errors import UnavailableError

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
        forgotten = await forget_person(connection, engine, account, reason or "")
    await _purge_requests(account)
    write_line(forgotten)


async def _purge_requests(account: str) -> None:
    """What is not purged is dropped by who reads it: told, since it stands there until then."""
    # NATS takes long to import, and settings to read.
    from ledger.messaging.request_stream import purge_requests  # noqa: PLC0415
    from ledger.operate.settings import load_settings  # noqa: PLC0415

    problem = "SOLARIS_NATS_URL is not set"
    if nats_url := load_settings().nats_url:
        try:
            await purge_requests(nats_url, account)
        except UnavailableError as error:
            problem = str(error)
        else:
            return
    sys.stderr.write(f"requests that wait in the stream are dropped when they are read: {problem}\n")
