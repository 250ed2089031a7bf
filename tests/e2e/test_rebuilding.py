"""With every stream deleted and every projection emptied all comes back, and nothing happens twice."""

import asyncio
import contextlib
import json
import urllib.request
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import nats
import openai
import pytest
from contracts.topology import CONSUMERS
from nats.js import JetStreamContext

from tests.support.eventually import eventually, eventually_blocking
from tests.support.stack import KEY, Stack

QUESTION: Any = [{"role": "user", "content": "What is a ledger?"}]
_COMPARED: Final = (
    *(f"projections.{view}" for view in ("usage", "overview", "activity", "outstanding", "statement", "people")),
    *("revenue.movements", "requests.refusals", "ledger.lots", "ledger.holds", "billing.orders", "notifier.messages"),
)
_ACCOUNTS: Final = "SELECT account_id || version || state::jsonb::text AS row FROM ledger.accounts WHERE version > 0"
_TRUNCATED: Final = """
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
WHERE schemaname = 'projections' AND tablename ~ '_v[0-9]+_[0-9]+'
"""
_ARE_UP: Final = """
SELECT bool_and(position >= (SELECT max(position) FROM ledger.events)) FROM projections.tracks WHERE state = 'live'
"""


async def test_all_comes_back_and_nothing_happens_twice(stack: Stack, account: str) -> None:
    await asyncio.to_thread(_live, stack, account)
    owner = await asyncpg.connect(stack.owner_database_url(), timeout=10)
    try:
        await _at_rest(owner, stack)
        before = await _digests(owner)
        balance, told = await asyncio.to_thread(lambda: (stack.balance(account), stack.told(account)))
        await _delete_streams(stack)
        emptied = [row[0] for row in await owner.fetch(_TRUNCATED)]
        await owner.execute(f"TRUNCATE {', '.join((*emptied, 'revenue.movements'))}")

        republished = await asyncio.to_thread(stack.operate, "republish")
        assert all(json.loads(line)["published"] >= 2 for line in republished.stdout.splitlines()), "ledger and billing"
        found = await asyncio.to_thread(stack.operate, "replay", PROJECTION="all")
        assert (found.returncode, json.loads(found.stdout)["failed"]) == (1, {}), "what was emptied is told"
        await _at_rest(owner, stack)
        sound = json.loads((await asyncio.to_thread(stack.operate, "replay")).stdout)
        assert (sound["difference_count"], sound["failed"]) == (0, {})
        assert all(each["rows"] > 0 for each in sound["projections"] if each["projection"] != "outstanding")
        assert await _digests(owner) == before
        assert await asyncio.to_thread(lambda: (stack.balance(account), stack.told(account))) == (balance, told)
        assert (await asyncio.to_thread(stack.operate, "verify")).returncode == 0
    finally:
        await owner.close()


def _live(stack: Stack, account: str) -> None:
    """Is told of a threshold, is refused, buys, gets a part back."""
    stack.limit(account, 3_000)
    client = stack.client(account)
    client.chat.completions.create(model="demo-usage:2600:0:60", messages=QUESTION)
    stack.wait_settled(account)
    with pytest.raises(openai.APIStatusError):
        client.chat.completions.create(
            model="demo-usage:9000:0:60", messages=[{"role": "user", "content": "x " * 9_000}]
        )
    body = json.dumps({"package_id": "small", "account_id": account}).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    bought = _answer(urllib.request.Request(f"{stack.billing_url}/billing/purchase-credits", body, headers))
    paid = json.dumps({"method": "card", "outcome": "paid"}).encode()
    _answer(urllib.request.Request(f"{bought['checkout_url']}/pay", paid, {"content-type": "application/json"}))
    eventually_blocking(lambda: stack.balance(account)["credits"] == 500_000, 60, message="credited")
    assert stack.operate("refund", ORDER=bought["order_id"], AMOUNT=749, REASON="a part").returncode == 0
    eventually_blocking(lambda: stack.balance(account)["credits"] == 450_000, 60, message="taken back")
    wanted = {"threshold-80", "credits-purchased"}
    eventually_blocking(lambda: wanted <= stack.told(account).keys(), 60, message="mails")


def _answer(request: urllib.request.Request) -> dict[str, Any]:
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


@contextlib.asynccontextmanager
async def _streams(stack: Stack) -> AsyncIterator[JetStreamContext]:
    environment = await asyncio.to_thread(stack.operator_environment)
    connection = await nats.connect(environment["SOLARIS_NATS_URL"], inbox_prefix=b"_INBOX_operator")
    try:
        yield connection.jetstream()
    finally:
        await connection.close()


async def _delete_streams(stack: Stack) -> None:
    async with _streams(stack) as streams:
        for info in await streams.streams_info():
            await streams.delete_stream(str(info.config.name))


async def _at_rest(owner: asyncpg.Connection, stack: Stack) -> None:
    """All that was published is heard, and all that is stored is projected."""
    async with _streams(stack) as streams:

        async def is_heard() -> bool:
            infos = [await streams.consumer_info(each.stream, each.durable_name) for each in CONSUMERS]
            return all(info.num_pending == 0 and info.num_ack_pending == 0 for info in infos)

        await eventually(is_heard, 60, message="all is heard")
    await eventually(lambda: owner.fetchval(_ARE_UP), 60, message="all is projected")


async def _digests(owner: asyncpg.Connection) -> dict[str, str]:
    """Of everything that was made of the log and of what billing said."""
    digests: dict[str, str] = {}
    for name in _COMPARED:
        digests[name] = await owner.fetchval(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {name} AS t")
    digests["balances"] = await owner.fetchval(f"SELECT md5(string_agg(row, '|' ORDER BY row)) FROM ({_ACCOUNTS}) AS t")
    return digests
