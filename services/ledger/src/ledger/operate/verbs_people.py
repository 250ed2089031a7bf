"""The verbs about people."""

import sys

from ledger.operate import database
from ledger.operate.inputs import account_id_of, reason_of, who_of
from ledger.operate.output import write_line
from ledger.operate.people import MAX_FOUND, export_person, find_people
from ledger.operate.people import forget as forget_person


async def find(who: str | None) -> None:
    wanted = who_of(who)
    connection = await database.connect(database.database_url())
    try:
        found = await find_people(connection, wanted)
    finally:
        connection.terminate()
    for person in found[:MAX_FOUND]:
        write_line(person._asdict())
    if len(found) > MAX_FOUND:
        sys.stderr.write(f"more than {MAX_FOUND} people: these are the first\n")


async def export(account: str | None) -> None:
    account_id = account_id_of(account)
    connection = await database.connect(database.database_url())
    try:
        async for line in export_person(connection, account_id):
            write_line(line)
    finally:
        connection.terminate()


async def forget(account: str | None, reason: str | None) -> None:
    account_id = account_id_of(account)
    given = reason_of(reason) if reason else ""
    connection = await database.connect(database.database_url())
    try:
        write_line(await forget_person(connection, account_id, given))
    finally:
        connection.terminate()
