"""The verbs that only read."""

import contextlib

from chassis.operate.output import write_line, write_lines

from ledger.application.balances import account_now, balance_at
from ledger.application.event_lines import event_lines
from ledger.application.lots import lots_of
from ledger.operate.database import open_ledger
from ledger.operate.options import Account, AccountOrAll, At, First, Last, check_range, moment_of
from ledger.store.log import MAX_POSITION
from ledger.store.read_path import load_clock


async def balance(account: Account, at: At = None) -> None:
    """The balance now, or as the events make it at a moment."""
    async with open_ledger() as connection:
        if at is None:
            write_line((await account_now(connection, account)).balance())
        else:
            moment = moment_of(at, _time_zone(), await load_clock(connection))
            write_line(await balance_at(connection, account, moment))


async def lots(account: Account) -> None:
    """The grants of credits of an account, oldest first."""
    async with open_ledger() as connection:
        write_lines(await lots_of(connection, account))


async def events(account: AccountOrAll = None, first: First = 1, last: Last = MAX_POSITION) -> None:
    """Stored events as JSON lines, in position order."""
    check_range(first, last)
    async with (
        open_ledger() as connection,
        contextlib.aclosing(event_lines(connection, first, last, account)) as chunks,
    ):
        async for lines in chunks:
            write_lines(lines)


def _time_zone() -> str:
    from ledger.operate.settings import load_settings  # noqa: PLC0415  a balance as of now needs none of it

    return load_settings().time_zone
