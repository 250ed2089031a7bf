"""The tables don't grow for ever: what is past its time goes, in batches, by index; what is needed stays."""

import asyncpg
import pytest
from chassis.postgres import create_engine
from notifier.store.retention import BATCH, RULES, Rule, prune_batch

from tests.integration.notifier.mailbox import Mailbox
from tests.integration.notifier.stage import Database, Ledger, running, settings_for
from tests.support.eventually import eventually

FILL = {
    "messages": """
        INSERT INTO notifier.messages (account_id, cycle_id, kind, cause, figures, occurred_at, status, finished_at)
        SELECT 'kept', 'c', 'threshold-80', $1 || number, '{}', now(), 'sent', now() - $2::interval
        FROM generate_series(1, $3::integer) AS number
    """,
    "inbox": """
        INSERT INTO notifier.inbox (consumer, message_id, handled_at)
        SELECT 'notifier-ledger', $1 || number, now() - $2::interval FROM generate_series(1, $3::integer) AS number
    """,
    "dead_letters": """
        INSERT INTO notifier.dead_letters (consumer, message_id, subject, payload, reason, failed_at)
        SELECT 'x', $1 || number, 's', '', 'r', now() - $2::interval FROM generate_series(1, $3::integer) AS number
    """,
    "claims": """
        INSERT INTO notifier.claims (account_id, holder, until)
        SELECT $1 || number, gen_random_uuid(), now() - $2::interval FROM generate_series(1, $3::integer) AS number
    """,
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.table.name)
async def test_old_rows_go_in_batches_and_young_ones_stay(rule: Rule, migrated_url: str, database: Database) -> None:
    name = rule.table.name
    connection = await asyncpg.connect(migrated_url, timeout=10)
    try:
        await connection.execute(FILL[name], "old-", rule.keep * 1.01, BATCH + 7)
        await connection.execute(FILL[name], "young-", rule.keep * 0.99, 20)
        await connection.execute(
            "INSERT INTO notifier.messages (account_id, cycle_id, kind, cause, figures, occurred_at, created_at) "
            "VALUES ('waits', $1, 'threshold-80', '1', '{}', now(), now() - interval '900 days')",
            name,
        )
    finally:
        await connection.close()
    engine = create_engine(migrated_url, service="test")
    try:
        assert [await prune_batch(engine, rule) for _ in range(3)] == [BATCH, 7, 0]
    finally:
        await engine.dispose()
    left = await database.rows(f"SELECT count(*) FROM notifier.{name}")
    assert left[0][0] >= 20
    waiting = await database.rows("SELECT 1 FROM notifier.messages WHERE account_id = 'waits' AND cycle_id = $1", name)
    assert len(waiting) == 1


async def test_a_running_notifier_deletes_what_is_old(
    ledger: Ledger, mailbox: Mailbox, migrated_url: str, nats_url: str, database: Database
) -> None:
    rule = next(rule for rule in RULES if rule.table.name == "inbox")
    await database.rows(FILL["inbox"], "service-", rule.keep * 1.01, BATCH + 7)
    async with running(settings_for(migrated_url, nats_url, mailbox.url)):
        await eventually(lambda: _none_left(database))


async def _none_left(database: Database) -> bool:
    return await database.rows("SELECT 1 FROM notifier.inbox WHERE message_id LIKE 'service-%' LIMIT 1") == []


async def test_the_service_s_role_may_delete_what_is_old(database: Database) -> None:
    for rule in RULES:
        query = "SELECT has_table_privilege('solaris_notifier', $1, 'DELETE')"
        assert (await database.rows(query, str(rule.table)))[0][0], rule.table.name


@pytest.mark.parametrize("name", ["messages", "inbox", "dead_letters"])
async def test_what_is_old_is_found_by_index(name: str, migrated_url: str) -> None:
    rule = next(rule for rule in RULES if rule.table.name == name)
    connection = await asyncpg.connect(migrated_url, timeout=10)
    try:
        await connection.execute(FILL[name], f"plan-{name}-", rule.keep * 0.5, 20_000)
        await connection.execute(f"ANALYZE notifier.{name}")
        plan = await connection.fetch(
            f"EXPLAIN SELECT 1 FROM notifier.{name} WHERE {rule.moment.key} < now() - interval '400 days' "
            f"ORDER BY {rule.moment.key} LIMIT {BATCH}"
        )
    finally:
        await connection.close()
    assert any("Index" in row[0] for row in plan)
    assert not any("Seq Scan" in row[0] for row in plan)
