"""An account's balance, now or as it was."""

from datetime import UTC, datetime

import asyncpg
from contracts.balance import Balance
from contracts.errors import NotFoundError

from ledger.domain.account import Account
from ledger.domain.catalog import Catalog
from ledger.domain.decide import as_of
from ledger.domain.evolve import evolve
from ledger.domain.policy import Policy
from ledger.store.facts import facts_of
from ledger.store.log import opening_time_of
from ledger.store.read_path import load_account
from ledger.store.snapshots import last_version_until, load_base

_READING = Policy(catalog=Catalog(version="", plans={}, models=()))
"""Time starts cycles and retires lots; what that does to a balance depends on neither catalog nor bounds of holds."""


async def account_now(connection: asyncpg.Connection, account_id: str) -> Account:
    """As the next command would find it.

    Raises:
        NotFoundError: no such account.
    """
    found = await load_account(connection, account_id)
    if found is None:
        raise NotFoundError(f"no account {account_id}")
    return as_of(*found, _READING)


async def balance_at(connection: asyncpg.Connection, account_id: str, moment: datetime) -> Balance:
    """From the events recorded up to `moment`, or a snapshot of them and those after it, and from nothing else.

    A future moment shows what time alone would change.

    Raises:
        NotFoundError: no such account, or none yet at that moment.
    """
    last = await last_version_until(connection, account_id, moment)
    account = await load_base(connection, account_id, last)
    async for fact in facts_of(connection, account_id, after=account.version, last=last):
        account = evolve(account, fact.data, fact.time)
    if account.is_open:
        return as_of(account, moment, _READING).balance()
    opened_at = await opening_time_of(connection, account_id)
    if opened_at is None:
        raise NotFoundError(f"no account {account_id}")
    raise NotFoundError(f"account {account_id} was opened later, at {opened_at.astimezone(UTC).isoformat()}")
