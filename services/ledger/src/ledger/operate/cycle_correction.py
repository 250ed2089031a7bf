"""What an account's rightful cycle had used when a clock that was wrong started the next one, from the events."""

from datetime import datetime

import asyncpg
from contracts.errors import InvalidError
from contracts.events import CycleCorrected, CycleStarted, LedgerEvent, ReservationExpired, UsageSettled

from ledger.domain.account import Account
from ledger.domain.evolve import evolve
from ledger.store.facts import decode_fact
from ledger.store.log import facts_until, newest_time_of


async def used_before(connection: asyncpg.Connection, account_id: str, now: datetime) -> int:
    """Billable tokens that the cycle of `now` had used by the wrong start, or was charged for since.

    Raises:
        InvalidError: the account's cycle is not one that starts in the future.
    """
    account, rightful, used = Account(account_id=account_id), None, 0
    newest = await newest_time_of(connection, account_id)
    async for rows in facts_until(connection, account_id, newest):
        for event_type, data, _ in rows:
            fact = decode_fact(event_type, data)
            match fact.data:
                case CycleStarted(cycle=cycle) if rightful is None and cycle.starts_at > now:
                    rightful = account.running_cycle.id
                    used = account.monthly_used if account.running_cycle.ends_at > now else 0
                case CycleCorrected():
                    rightful = None
                case _ if rightful is not None:
                    used += _charged_to(rightful, fact.data)
            account = evolve(account, fact.data, fact.time)
    if rightful is None:
        raise InvalidError(f"account {account_id} has no cycle that starts in the future")
    return max(0, used)


def _charged_to(cycle_id: str, event: LedgerEvent) -> int:
    """The allowance that calls of the rightful cycle took when they ended after the wrong start."""
    match event:
        case UsageSettled(cycle_id=of) if of == cycle_id:
            if event.give_back is not None:
                return 0
            return event.charged.from_allowance if event.charged is not None else event.from_allowance
        case ReservationExpired(cycle_id=of) if of == cycle_id:
            return event.charge.from_allowance
        case _:
            return 0
