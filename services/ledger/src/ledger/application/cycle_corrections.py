"""What an account's rightful cycle had used when a clock that was wrong started later ones, from the events."""

from datetime import datetime

import asyncpg
from contracts.errors import InvalidError
from contracts.events.accounts import CycleCorrected, CycleStarted
from contracts.events.reservations import ReservationExpired, UsageSettled

from ledger.domain.account import Account
from ledger.domain.evolve import evolve
from ledger.store.facts import facts_of


async def used_before(connection: asyncpg.Connection, account_id: str, now: datetime) -> int:
    """Billable tokens used in the cycles that wrong starts have closed, or charged to them since.

    A clock that is far ahead starts several: what was used in each of them is used in the one of `now`.

    Raises:
        InvalidError: the account's cycle is not one that starts in the future.
    """
    account, closed, used = Account(account_id=account_id), set[str](), 0
    async for fact in facts_of(connection, account_id):
        match fact.data:
            case CycleStarted(cycle=cycle) if cycle.starts_at > now:
                closed.add(account.running_cycle.id)
                used += account.monthly_used
            case CycleCorrected():
                closed.clear()
                used = 0
            case UsageSettled() | ReservationExpired() if fact.data.cycle_id in closed:
                used += _taken_from_allowance(fact.data)
        account = evolve(account, fact.data, fact.time)
    if not closed:
        raise InvalidError(f"account {account_id} has no cycle that starts in the future")
    return used


def _taken_from_allowance(event: UsageSettled | ReservationExpired) -> int:
    match event:
        case ReservationExpired():
            return event.charge.from_allowance
        case UsageSettled(give_back=None):
            return event.from_allowance if event.charged is None else event.charged.from_allowance
        case _:  # what is given back to a closed cycle lapses
            return 0
