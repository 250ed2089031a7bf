"""The made-up company on a running stack: no service acts on its history, and all agree about it."""

import asyncio
import json
import time
from typing import Any

import asyncpg
from contracts.subjects import BILLING_STREAM, LEDGER_STREAM, NOTIFIER_BILLING_CONSUMER, NOTIFIER_LEDGER_CONSUMER

from tests.support.eventually import eventually
from tests.support.infrastructure import core_nats
from tests.support.stack import Stack

HEARD = ((LEDGER_STREAM, NOTIFIER_LEDGER_CONSUMER), (BILLING_STREAM, NOTIFIER_BILLING_CONSUMER))


async def test_a_company_is_made_up_beside_a_live_stack_and_nobody_is_written_to(stack: Stack, account: str) -> None:
    before = stack.fetch_json(f"{stack.mailbox_url}/api/messages")
    letters = stack.operate("dead-letters").stdout  # of other tests
    started = time.monotonic()
    founded = json.loads((await asyncio.to_thread(stack.make, "seed", "SEED=77")).stdout)
    assert founded["created"] == 200
    assert time.monotonic() - started < 90  # 20 s on a machine that does nothing else
    connection = await asyncpg.connect(stack.owner_database_url(), timeout=10)
    try:
        await eventually(lambda: _all_is_told(connection, stack), 60, message="all is published, heard and settled")
        told = {
            row[0]
            for row in await connection.fetch(
                "SELECT DISTINCT status FROM notifier.messages WHERE account_id LIKE 'demo77-%'"
            )
        }
        events = "SELECT count(*) FROM ledger.events WHERE account_id LIKE 'demo77-%'"
        assert await connection.fetchval(events) == founded["events"]
    finally:
        await connection.close()
    assert told == {"stale", "no_address"}
    after = stack.fetch_json(f"{stack.mailbox_url}/api/messages")
    new = [mail for mail in after if mail["id"] not in {each["id"] for each in before}]
    assert [mail for mail in new if ".invalid" in json.dumps(mail)] == []
    synced = stack.operate("billing-sync")
    assert (synced.returncode, synced.stderr) == (0, "")
    assert (json.loads(synced.stdout)["changed"], stack.operate("verify").returncode) == (0, 0)
    assert stack.operate("dead-letters").stdout == letters
    stack.client(account).chat.completions.create(model="demo", messages=[{"role": "user", "content": "Olá"}])


async def _all_is_told(connection: asyncpg.Connection, stack: Stack) -> bool:
    left: Any = await connection.fetchval("""
        SELECT (SELECT count(*) FROM notifier.messages
                WHERE account_id LIKE 'demo77-%' AND status IN ('pending', 'pending_alone'))
            + (SELECT max(position) FROM ledger.events) - (SELECT position FROM ledger.relay WHERE name = 'ledger')
            + (SELECT max(position) FROM billing.outbox) - (SELECT position FROM billing.relay WHERE name = 'billing')
    """)
    if left:
        return False
    async with core_nats(stack.operator_environment()["SOLARIS_NATS_URL"]) as client:
        for stream, durable in HEARD:
            info = json.loads(await client.request(f"$JS.API.CONSUMER.INFO.{stream}.{durable}", b"", seconds=5))
            if info["num_pending"] or info["num_ack_pending"]:
                return False
    return True
