"""Writes the company into a database, a few people at a time: of each all or nothing, while others go on to work."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final

import asyncpg
from billing.domain.entitlement import PlanRules
from billing.domain.offers import Offers
from billing.domain.voucher_codes import digest_of
from billing.store.invented import InventedBatch, has_really_sold, write_batch, write_invented
from chassis.postgres import statements
from contracts.errors import ConflictError
from contracts.profiles import Profile
from ledger.domain.policy import Policy
from ledger.store.profiles import store_tags
from ledger.store.read_path import load_clock, store_profile
from ledger.store.requests.days import make_past_days
from ledger.store.requests.lines import count_refusals, store_lines
from ledger.store.rows import Changes, Premises
from ledger.store.write_path import append_current, read_batch
from msgspec import Struct
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from company.asking import lines_of
from company.buying import OPERATOR
from company.life import Life, Lived
from company.people import HEADCOUNT, Person, hire
from company.shopping import VOUCHER_DAYS, VOUCHER_TOKENS, Shop

EVENTS_AT_ONCE: Final = 3_000
"""Of one transaction, which keeps everybody else's events waiting while it writes them: some 0.2 s."""
ASKED_DAYS: Final = 30
"""So far back the request log goes: each day is a partition, and it is for looking at what was lately."""
BOOKS: Final = "people have really paid here: a made-up company could never be taken out of their books again"
MEANWHILE: Final = "somebody else makes this company just now: run it again"
type Progress = Callable[[int, int], None]
"""Told how many people are written, and of how many."""


class Founded(Struct, frozen=True, kw_only=True):
    """`skipped` people were there before and were left alone."""

    seed: int
    created: int
    skipped: int
    events: int
    orders: int
    subscriptions: int
    refusals: int
    seconds: float = 0.0


class Founding:
    """Makes the company of a seed where it is missing; `policy`, `offers` and `rules` are the services' own."""

    def __init__(self, engine: AsyncEngine, policy: Policy, offers: Offers, rules: PlanRules) -> None:
        self._engine = engine
        self._policy = policy
        self._offers = offers
        self._rules = rules

    async def found(self, seed: int, progress: Progress) -> Founded:
        """Live and write what is missing. Killed anywhere, the same again goes on with the people who are left.

        Raises:
            ConflictError: one of these accounts was made by somebody else meanwhile, or people have really paid here:
                what is made up could never be taken out of their books again.
        """
        try:
            return await self._found(seed, progress)
        except IntegrityError as error:  # of ids that follow from the seed
            raise ConflictError(MEANWHILE) from error

    async def _found(self, seed: int, progress: Progress) -> Founded:
        people = hire(seed)
        digest = digest_of(f"seed {seed}")  # the digest of no code: nobody can redeem it
        shop = Shop(offers=self._offers, rules=self._rules, voucher_digest=digest)
        async with self._engine.begin() as connection:
            now = await load_clock(await _driver(connection))
            missing = await _missing(connection, people)
            if missing:
                if await has_really_sold(connection):
                    raise ConflictError(BOOKS)
                await write_batch(connection, _batch(seed, digest, now))
        events = orders = subscriptions = refusals = 0
        waiting: list[Lived] = []
        asked_since = datetime.combine(now.date() - timedelta(days=ASKED_DAYS), time.min, UTC)
        if missing:
            async with statements(self._engine) as connection:
                await make_past_days(await _driver(connection), asked_since.date(), now.date())
        for number, person in enumerate(missing, start=1):
            waiting.append(Life(self._policy, shop, person, now).live())
            if number == len(missing) or sum(len(each.changes.events) for each in waiting) >= EVENTS_AT_ONCE:
                events += sum(len(each.changes.events) for each in waiting)
                await self._write(waiting, asked_since)
                orders += sum(len(each.orders) for each in waiting)
                subscriptions += sum(len(each.subscriptions) for each in waiting)
                refusals += sum(1 for each in waiting for asked in each.asked if asked.is_refused)
                waiting = []
                progress(number, len(missing))
        return Founded(
            seed=seed,
            created=len(missing),
            skipped=len(people) - len(missing),
            events=events,
            orders=orders,
            subscriptions=subscriptions,
            refusals=refusals,
        )

    async def _write(self, lives: Sequence[Lived], asked_since: datetime) -> None:
        """One transaction for both services: what is published of billing, the ledger knows already."""
        async with self._engine.begin() as connection:
            driver = await _driver(connection)
            for lived in lives:
                person = lived.person
                profile = Profile(email=person.email, name=person.name, locale=person.locale)
                await store_profile(driver, person.account_id, profile)
            await store_tags(driver, {each.person.account_id: [each.person.department.name] for each in lives})
            orders = [order for lived in lives for order in lived.orders]
            subscriptions = [each for lived in lives for each in lived.subscriptions]
            await write_invented(connection, orders, subscriptions)
            lines = [line for lived in lives for line in lines_of(lived.person, lived.asked, asked_since)]
            await store_lines(driver, [line for line in lines if line.at >= asked_since])
            await count_refusals(driver, [line for line in lines if line.at < asked_since])
            await _append(driver, lives)


async def _append(driver: asyncpg.Connection, lives: Sequence[Lived]) -> None:
    """Comes last: it takes the log's lock, after which nothing may wait for a row."""
    together = Changes()
    for changes in (lived.changes for lived in lives):
        together.events += changes.events
        together.audit += changes.audit
        together.accounts |= changes.accounts
        together.holds |= changes.holds
        together.lots |= changes.lots
        together.commands |= changes.commands
    versions = {lived.person.account_id: 0 for lived in lives}
    appended = await append_current(driver, Premises(versions=versions, decided_at=None, unseen=set()), together)
    if appended is None or appended.stale:
        raise ConflictError(MEANWHILE)


async def _missing(connection: AsyncConnection, people: Sequence[Person]) -> Sequence[Person]:
    ids = sorted(person.account_id for person in people)
    state = await read_batch(await _driver(connection), ids, [], [])
    return [person for person in people if not state.accounts[person.account_id].account.is_open]


async def _driver(connection: AsyncConnection) -> asyncpg.Connection:
    """The driver's own connection, within the transaction of this one."""
    await connection.execute(text("VALUES (1)"))  # before its first statement there is no transaction yet
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, asyncpg.Connection), "asyncpg is what the engine drives"
    return driver


def _batch(seed: int, digest: bytes, now: datetime) -> InventedBatch:
    return InventedBatch(
        digest=digest,
        tokens=VOUCHER_TOKENS,
        uses=HEADCOUNT,
        expires_days=VOUCHER_DAYS,
        reason=f"Campanha de lançamento (seed {seed})",
        made_by=OPERATOR,
        made_at=now - timedelta(days=25),
    )
