"""Compares the states of some accounts with what their events since the last snapshot of each come to."""

from collections.abc import Iterable

import asyncpg

from ledger.audit.comparison import state_difference
from ledger.audit.problems import Problem, Problems
from ledger.domain.evolve import evolve
from ledger.store.facts import facts_of
from ledger.store.projections import AccountRow, load_account_row
from ledger.store.snapshots import load_base


async def check_states(connection: asyncpg.Connection, accounts: Iterable[str], problems: Problems) -> None:
    """Each as of one moment. An account costs the fold of a thousand events at most, however many it has.

    An account without a row, and events that are not to be believed, are for the walk of the log to tell.
    """
    for account_id in accounts:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            row = await load_account_row(connection, account_id)
            if row is not None and (reason := await _difference(connection, row)) is not None:
                problems.add(Problem(None, account_id, row.version, reason))


async def _difference(connection: asyncpg.Connection, row: AccountRow) -> str | None:
    account = await load_base(connection, row.account_id, row.version)
    try:
        async for fact in facts_of(connection, row.account_id, after=account.version, last=row.version):
            account = evolve(account, fact.data, fact.time)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        raise
    except Exception as error:  # a log that was tampered with can break any assumption of the fold
        return f"the events since its last snapshot can't be folded: {type(error).__name__}: {error}"
    return state_difference(account, row.state)
