"""An account's rightful cycle when a clock that was wrong started later ones, and what it had used, from the events."""

from datetime import datetime

import asyncpg
from contracts.balance import Cycle
from contracts.errors import InvalidError
from contracts.events.accounts import CycleCorrected, CycleStarted
from contracts.events.reservations import ReservationExpired, UsageSettled

from ledger.domain.account import Account
from ledger.domain.evolve import evolve
from ledger.store.facts import facts_of


async def rightful_cycle(connection: asyncpg.Connection, account_id: str, now: datetime) -> tuple[Cycle, int]:
    """The cycle that ran before the first wrong start, and the billable tokens used in those that wrong starts closed.

    A clock that is far ahead starts several: what was used in each of them, or charged to it since, is used in the one
    of `now`.

    Raises:
        InvalidError: the account's cycle is not one that starts in the future.
    """
    account, closed, used, rightful = Account(account_id=account_id), set[str](), 0, None
    async for fact in facts_of(connection, account_id):
        match fact.data:
            case CycleStarted(cycle=cycle) if cycle.starts_at > now:
                rightful = rightful or account.running_cycle
                closed.add(account.running_cycle.id)
                used += account.monthly_used
            case CycleCorrected():
                closed.clear()
                used, rightful = 0, None
            case UsageSettled() | ReservationExpired() if fact.data.cycle_id in closed:
                used += _taken_from_allowance(fact.data)
        account = evolve(account, fact.data, fact.time)
    if rightful is None:
        raise InvalidError(f"account {account_id} has no cycle that starts in the future")
    return rightful, used


def _taken_from_allowance(event: UsageSettled | ReservationExpired) -> int:
    match event:
        case ReservationExpired():
            return event.charge.from_allowance
        case UsageSettled(give_back=None):
            return event.from_allowance if event.charged is None else event.charged.from_allowance
        case _:  # what is given back to a closed cycle lapses
            return 0
