"""Demo accounts whose weeks of history the ledger's own commands make, under a supplied clock."""

import asyncpg
from contracts.errors import ConflictError
from contracts.profiles import Profile
from msgspec import Struct

from ledger.demo.life import Life
from ledger.demo.people import PEOPLE
from ledger.domain.policy import Policy
from ledger.store.read_path import store_profile
from ledger.store.rows import BatchState, Premises
from ledger.store.write_path import append_current, read_batch


class Seeded(Struct, frozen=True):
    """`skipped` accounts existed and were left alone."""

    created: list[str]
    skipped: list[str]
    events: int


async def seed(connection: asyncpg.Connection, policy: Policy) -> Seeded:
    """Make the demo accounts that do not exist, all or none, in one commit.

    Raises:
        ConflictError: one of them was made by somebody else meanwhile; nothing was written.
    """
    account_ids = [person.account_id for person in PEOPLE]
    state = await read_batch(connection, sorted(account_ids), [], [])
    new = {account_id for account_id in account_ids if not state.accounts[account_id].account.is_open}
    events = await _live(connection, policy, state, new) if new else 0
    return Seeded(
        created=[account_id for account_id in account_ids if account_id in new],
        skipped=[account_id for account_id in account_ids if account_id not in new],
        events=events,
    )


async def _live(connection: asyncpg.Connection, policy: Policy, state: BatchState, new: set[str]) -> int:
    people = [person for person in PEOPLE if person.account_id in new]
    changes = Life(policy, people, state.clock).run()
    premises = Premises(versions=dict.fromkeys(new, 0), decided_at=None, unseen=set())
    async with connection.transaction():
        for person in people:
            profile = Profile(email=person.email, name=person.name, locale=person.locale)
            await store_profile(connection, person.account_id, profile)
        # Comes last: it takes the log's lock, after which nothing may wait for a row.
        appended = await append_current(connection, premises, changes)
        if appended is None or appended.stale:
            raise ConflictError("a demo account was made meanwhile: run it again")
    return len(changes.events)
