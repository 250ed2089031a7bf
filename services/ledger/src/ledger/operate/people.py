"""The verbs about people."""

import sys

from chassis.operate.output import write_line

from ledger.application.people import MAX_FOUND, export_person, find_people, forget_person
from ledger.operate.database import open_ledger
from ledger.operate.options import Account, ReasonOrNone, Who


async def find(who: Who) -> None:
    """People by account id, or by a part of their name, e-mail or the id that the client has for them."""
    async with open_ledger() as connection:
        found = await find_people(connection, who)
    for person in found[:MAX_FOUND]:
        write_line(person._asdict())
    if len(found) > MAX_FOUND:
        sys.stderr.write(f"more than {MAX_FOUND} people: these are the first\n")


async def export(account: Account) -> None:
    """All that is kept about the person of an account, as JSON lines."""
    async with open_ledger() as connection:
        async for line in export_person(connection, account):
            write_line(line)


async def forget(account: Account, reason: ReasonOrNone = None) -> None:
    """Erases the person's name, e-mail, language and client's id; the figures stay."""
    async with open_ledger() as connection:
        write_line(await forget_person(connection, account, reason or ""))
