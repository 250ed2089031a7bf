"""The verbs that only read."""

import contextlib

from contracts.errors import InvalidError

from ledger.operate import database
from ledger.operate.balance import balance_at, balance_now
from ledger.operate.events import event_lines
from ledger.operate.inputs import account_id_of, moment_of, positions_of
from ledger.operate.output import write_line, write_lines
from ledger.store.read_path import load_clock


async def balance(account: str | None, at: str | None) -> None:
    account_id = account_id_of(account)
    connection = await database.connect(database.database_url())
    try:
        if at is None or not at.strip():
            write_line(await balance_now(connection, account_id))
            return
        moment = moment_of(at, _time_zone(), await load_clock(connection))
        write_line(await balance_at(connection, account_id, moment))
    finally:
        connection.terminate()


async def lots(account: str | None) -> None:
    from ledger.operate.lots import lots_of  # noqa: PLC0415  a balance needs none of it

    account_id = account_id_of(account)
    connection = await database.connect(database.database_url())
    try:
        write_lines(await lots_of(connection, account_id))
    finally:
        connection.terminate()


async def events(account: str | None, first: str | None, last: str | None) -> None:
    account_id = account_id_of(account) if account else None
    start, end = positions_of(first, last)
    connection = await database.connect(database.database_url())
    try:
        async with contextlib.aclosing(event_lines(connection, start, end, account_id)) as chunks:
            async for lines in chunks:
                write_lines(lines)
    finally:
        connection.terminate()


def _time_zone() -> str:
    from ledger.settings import LedgerSettings  # noqa: PLC0415  a balance as of now needs none of it

    try:
        return LedgerSettings.load().time_zone
    except SystemExit as stop:
        raise InvalidError(str(stop)) from None
