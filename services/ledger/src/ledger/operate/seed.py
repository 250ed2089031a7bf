"""Demo accounts whose weeks of history the ledger's own commands make, under a supplied clock."""

from datetime import datetime

import asyncpg
from contracts.reservations import Profile
from msgspec import Struct

from ledger.domain.policy import Policy
from ledger.operate.demo_life import Life
from ledger.operate.demo_people import PEOPLE
from ledger.store.read_path import store_profile
from ledger.store.rows import BatchState
from ledger.store.write_path import insert_missing_accounts, read_batch_state, write_changes


class Seeded(Struct, frozen=True):
    """`skipped` accounts existed and were left alone."""

    created: list[str]
    skipped: list[str]
    events: int


async def seed(connection: asyncpg.Connection, policy: Policy) -> Seeded:
    """Make the demo accounts that do not exist, all or none, in one commit."""
    account_ids = [person.account_id for person in PEOPLE]
    async with connection.transaction():
        await insert_missing_accounts(connection, account_ids)
        state = await read_batch_state(connection, sorted(account_ids), [], [])
        new = {account_id for account_id in account_ids if not state.accounts[account_id].account.is_open}
        events = await _live(connection, policy, state, new) if new else 0
    return Seeded(
        created=[account_id for account_id in account_ids if account_id in new],
        skipped=[account_id for account_id in account_ids if account_id not in new],
        events=events,
    )


async def _live(connection: asyncpg.Connection, policy: Policy, state: BatchState, new: set[str]) -> int:
    now: datetime = state.clock
    people = [person for person in PEOPLE if person.account_id in new]
    changes = Life(policy, people, now).run()
    for person in people:
        profile = Profile(email=person.email, name=person.name, locale=person.locale)
        await store_profile(connection, person.account_id, profile)
    # Comes last: it takes the log's lock, after which nothing may wait for a row.
    await write_changes(connection, changes)
    return len(changes.events)
