"""The ledger's tables don't grow for ever: what is past its time goes, in batches; what is needed stays."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
from ledger.application.housekeeping import keep_pruning
from ledger.store.pruning import BATCH, KEEP_ENDED_LETTERS, KEEP_WAITING_LETTERS, prune

from tests.support.eventually import eventually

LETTERS = """
INSERT INTO ledger.dead_letters (consumer, message_id, subject, payload, reason, failed_at, retried_at)
SELECT 'x', $1 || number, 's', '', 'r', now() - $2::interval, CASE WHEN $3 THEN now() END
FROM generate_series(1, $4::integer) AS number
"""
PEOPLE = """
INSERT INTO ledger.profiles (account_id, email, updated_at)
SELECT $1 || number, 'x@example.com', now() - $2::interval FROM generate_series(1, $3::integer) AS number
"""


async def test_old_letters_go_and_who_was_not_heard_of_for_years_is_nobody(
    migrated: str, database: asyncpg.Connection
) -> None:
    years = timedelta(days=1_825)
    await database.execute(LETTERS, "old-", KEEP_ENDED_LETTERS * 1.01, True, BATCH + 7)
    await database.execute(LETTERS, "young-", KEEP_ENDED_LETTERS * 0.99, True, 3)
    await database.execute(LETTERS, "waiting-", KEEP_ENDED_LETTERS * 1.01, False, 4)
    await database.execute(LETTERS, "waited-", KEEP_WAITING_LETTERS * 1.01, False, 5)
    await database.execute(PEOPLE, "unheard-", years * 1.01, BATCH + 7)
    await database.execute(PEOPLE, "heard-", years * 0.99, 3)
    async with asyncpg.create_pool(
        migrated, min_size=1, max_size=2, server_settings={"role": "solaris_ledger"}
    ) as pool:
        task = asyncio.create_task(keep_pruning(pool, keep_profiles=years))
        letters = "SELECT split_part(message_id, '-', 1), count(*) FROM ledger.dead_letters GROUP BY 1 ORDER BY 1"
        people = "SELECT DISTINCT split_part(account_id, '-', 1) FROM ledger.profiles WHERE email IS NOT NULL"

        async def is_done() -> bool:
            rows = [tuple(row) for row in await database.fetch(letters)]
            known = [row[0] for row in await database.fetch(people)]
            return (rows, known) == ([("waiting", 4), ("young", 3)], ["heard"])

        await eventually(is_done)
        task.cancel()
    kept = "SELECT count(*) FROM ledger.profiles WHERE account_id LIKE 'unheard-%' AND forgotten_at IS NULL"
    assert await database.fetchval(kept) == BATCH + 7, "the accounts are still somebody's"


async def test_a_database_whose_clock_is_years_ahead_forgets_nothing(
    migrated: str, database: asyncpg.Connection
) -> None:
    years = timedelta(days=1_825)
    await database.execute(LETTERS, "ahead-", KEEP_WAITING_LETTERS * 1.01, False, 2)
    await database.execute(PEOPLE, "ahead-", years * 1.01, 2)
    async with asyncpg.create_pool(migrated, min_size=1, max_size=1) as pool:
        gone = await prune(pool, datetime.now(UTC) - years, keep_profiles=years)
    assert gone == {"dead_letters": 0, "profiles": 0}
