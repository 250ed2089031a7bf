"""Operators change accounts: once per key, audited, and only with input that makes sense."""

import asyncio
import json
import os
import pwd
from datetime import timedelta

import asyncpg
import nats
import pytest
from contracts.codec import encode
from contracts.reads import ReadyAnswer
from contracts.subjects import READ_READY
from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.domain.commands import ExpireReservation, ReserveTokens, SettleUsage
from ledger.operate.executing import open_executor
from ledger.settings import LedgerSettings
from nats.aio.msg import Msg

from tests.support.gateway_messages import usage_recorded
from tests.support.ledger_commands import reserve_tokens, settle_usage
from tests.support.ledger_history import roomy_policy
from tests.support.ledger_operate import Operate, operate_on


async def _events(database: asyncpg.Connection, account_id: str) -> list[dict[str, object]]:
    rows = await database.fetch("SELECT data FROM ledger.events WHERE account_id = $1 ORDER BY version", account_id)
    return [json.loads(row[0]) for row in rows]


async def test_credit_opens_an_unknown_account_and_prints_its_balance(operate: Operate) -> None:
    ran = await operate("credit", new=1, account="person-1", tokens=700, reason="goodwill")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["account_id"] == "person-1"
    assert (ran.json["credits"], ran.json["available"], ran.json["held"]) == (700, 1_000_700, 0)


async def test_the_same_key_with_the_same_content_has_one_effect_and_one_answer(
    operate: Operate, database: asyncpg.Connection
) -> None:
    first = await operate("credit", new=1, account="person-2", tokens=700, reason="goodwill", key="k-1")
    await operate("credit", new=1, account="person-2", tokens=5, reason="more")
    again = await operate("credit", new=1, account="person-2", tokens=700, reason="goodwill", key="k-1")
    assert (again.code, again.json) == (0, first.json)
    assert (await operate("balance", account="person-2")).json["credits"] == 705
    audited = await database.fetchval(
        "SELECT count(*) FROM ledger.audit WHERE account_id = $1", first.json["account_id"]
    )
    assert audited == 2


async def test_parallel_repetitions_of_one_key_make_one_lot(operate: Operate) -> None:
    ran = await asyncio.gather(
        *(operate("credit", new=1, account="person-3", tokens=700, reason="goodwill", key="k-1") for _ in range(3))
    )
    assert {each.code for each in ran} == {0}
    assert (await operate("balance", account="person-3")).json["credits"] == 700


@pytest.mark.parametrize(("account", "other"), [("c-1", {"tokens": 701}), ("c-2", {"reason": "something else"})])
async def test_the_same_key_with_another_content_is_an_error_and_changes_nothing(
    operate: Operate, account: str, other: dict[str, object]
) -> None:
    order: dict[str, object] = {"account": account, "new": 1, "tokens": 700, "reason": "goodwill", "key": "k-1"}
    await operate("credit", **order)
    ran = await operate("credit", **(order | other))
    ran.assert_refused(1)
    assert "another content" in ran.err
    assert (await operate("balance", account=account)).json["credits"] == 700


async def test_the_same_key_of_two_accounts_is_two_orders(operate: Operate) -> None:
    for account in ("person-6", "other-6"):
        assert (await operate("credit", new=1, account=account, tokens=9, reason="x", key="k-1")).json["credits"] == 9


async def test_the_reason_stands_in_the_audit_and_the_event_names_its_entry(
    operate: Operate, database: asyncpg.Connection
) -> None:
    await operate("suspend", new=1, account="person-7", reason="João asked for it")
    event = (await _events(database, "person-7"))[-1]
    assert event["type"] == "solaris.ledger.status_changed.v1"
    assert "João" not in json.dumps(event, ensure_ascii=False)
    data = event["data"]
    assert isinstance(data, dict)
    entry = await database.fetchrow("SELECT * FROM ledger.audit WHERE id = $1", data["reason_id"])
    assert entry is not None
    assert (entry["actor"], entry["action"], entry["reason"]) == (
        f"operator:{pwd.getpwuid(os.getuid()).pw_name}",
        "suspend",
        "João asked for it",
    )


async def test_plan_limit_and_status_print_the_new_balance(operate: Operate) -> None:
    assert (await operate("plan", new=1, account="person-8", plan="pro")).json["plan"] == "pro"
    assert (await operate("limit", new=1, account="person-8", tokens=0)).json["monthly_limit"] == 0
    assert (await operate("limit", new=1, account="person-8", tokens=2**53)).json["monthly_limit"] == 2**53
    assert (await operate("suspend", new=1, account="person-8", reason="r")).json["status"] == "suspended"
    assert (await operate("block", new=1, account="person-8", reason="r")).json["status"] == "blocked"
    assert (await operate("activate", new=1, account="person-8", reason="r")).json["status"] == "active"


async def test_what_a_shell_exports_is_no_value(operate: Operate) -> None:
    exported = {"ACCOUNT": "person-9", "TOKENS": "12", "REASON": "somebody else's", "KEY": "one", "NEW": "1"}
    (await operate("credit", environment=exported)).assert_refused(2)
    for tokens in (3, 4):
        ran = await operate("credit", environment=exported, account="person-9", new=1, tokens=tokens, reason="r")
        assert ran.code == 0
    assert ran.json["credits"] == 7


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("credit", {"tokens": 7, "reason": "r"}),
        ("plan", {"plan": "pro"}),
        ("limit", {"tokens": 7}),
        ("suspend", {"reason": "r"}),
        ("activate", {"reason": "r"}),
        ("block", {"reason": "r"}),
    ],
)
async def test_an_unknown_account_is_opened_only_where_that_is_meant(
    operate: Operate, database: asyncpg.Connection, verb: str, options: dict[str, object]
) -> None:
    account = f"typo-{verb}"
    ran = await operate(verb, account=account, **options)
    ran.assert_refused(1)
    assert "NEW=1" in ran.err
    assert await database.fetchval("SELECT count(*) FROM ledger.accounts WHERE account_id = $1", account) == 0
    (await operate(verb, account=account, new="yes", **options)).assert_refused(2)
    assert (await operate(verb, account=account, new=1, **options)).code == 0
    assert (await operate(verb, account=account, **options)).code == 0


async def test_a_grant_is_listed_and_taken_back(operate: Operate, database: asyncpg.Connection) -> None:
    await operate("credit", account="lots", new=1, tokens=700, reason="a gift", key="gift")
    await operate("credit", account="lots", tokens=50, reason="another")
    gift, other = (await operate("lots", account="lots")).lines
    assert (gift["granted"], gift["remaining"], gift["revoked"], gift["source"]) == (700, 700, 0, "admin")
    assert (gift["reference"], gift["expires_at"]) == ("gift", None)
    order: dict[str, object] = {"account": "lots", "lot": gift["lot_id"], "tokens": 600, "reason": "by mistake"}
    revoked = await operate("revoke", **order, key="back")
    assert (revoked.code, revoked.json["credits"]) == (0, 150)
    assert (await operate("revoke", **order, key="back")).json == revoked.json
    (await operate("revoke", **(order | {"tokens": 601}), key="back")).assert_refused(1)
    gift, other = (await operate("lots", account="lots")).lines
    assert (gift["granted"], gift["revoked"], gift["remaining"], other["remaining"]) == (700, 600, 100, 50)
    reason = "SELECT reason FROM ledger.audit WHERE account_id = 'lots' AND action = 'revoke'"
    assert await database.fetchval(reason) == "by mistake"
    assert (await operate("verify")).code == 0


async def test_no_lot_is_revoked_that_was_never_granted(operate: Operate) -> None:
    await operate("credit", account="lotless", new=1, tokens=700, reason="r")
    ran = await operate("revoke", account="lotless", lot="order-7", tokens=5, reason="r")
    assert (ran.code, ran.out) == (1, "") or ran.code == 2
    assert "order-7" in ran.err
    assert (await operate("balance", account="lotless")).json["debt"] == 0
    (await operate("revoke", account="nobody", lot="order-7", tokens=5, reason="r")).assert_refused(1)
    (await operate("lots", account="nobody")).assert_refused(1)


async def test_a_database_that_is_down_is_told_in_one_line(operate: Operate) -> None:
    nowhere = {"SOLARIS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"}
    (await operate("credit", new=1, account="a", tokens=1, reason="r", environment=nowhere)).assert_refused(1)
    (await operate("balance", account="a", environment=nowhere)).assert_refused(1)
    (await operate("verify", environment=nowhere)).assert_refused(1)


async def test_commands_beside_a_busy_ledger_lose_nothing(
    operate: Operate, ledger_url: str, database: asyncpg.Connection
) -> None:
    stop = asyncio.Event()

    async def reserve(executor: Executor) -> int:
        number = 0
        while not stop.is_set():
            number += 1
            await executor.submit(reserve_tokens("busy", f"b-{number}", prompt=1, maximum=1), Kind.RESERVE)
        return number

    settings = LedgerSettings(database_url=ledger_url)
    async with open_executor(settings, roomy_policy(), database) as executor:
        reserving = asyncio.create_task(reserve(executor))
        for _ in range(3):
            assert (await operate("credit", new=1, account="busy", tokens=10, reason="r")).code == 0
        stop.set()
        held = min(await reserving, 1_000) * 2
    balance = (await operate("balance", account="busy")).json
    assert (balance["credits"], balance["held"]) == (30, held)
    assert (await operate("verify")).code == 0


async def test_after_a_rest_of_months_a_command_is_of_now_unless_a_running_ledger_disbelieves_the_clock(
    own_ledger: str, damaged: asyncpg.Connection, nats_url: str
) -> None:
    last = await damaged.fetchval("SELECT max(recorded_at) FROM ledger.events")
    disbelieved, told = last + timedelta(minutes=5), await damaged.fetchval("SELECT clock_timestamp()")
    client = await nats.connect(nats_url)
    answers = [ReadyAnswer(ready=False, time=disbelieved), ReadyAnswer(ready=True, time=told)]

    async def answer(message: Msg) -> None:
        await message.respond(encode(answers.pop(0)))

    await client.subscribe(READ_READY, cb=answer)
    await client.flush()
    operate = operate_on(own_ledger)
    order: dict[str, object] = {"tokens": 5, "reason": "r"}
    recorded = "SELECT max(recorded_at) FROM ledger.events WHERE account_id = $1"
    asking = {"SOLARIS_NATS_URL": nats_url}
    assert (await operate("credit", account="account-00001", **order, environment=asking)).code == 0
    assert await damaged.fetchval(recorded, "account-00001") < disbelieved
    assert (await operate("credit", account="account-00002", **order, environment=asking)).code == 0
    assert await damaged.fetchval(recorded, "account-00002") > told
    assert answers == []
    await client.close()


async def test_after_a_rest_of_months_a_command_alone_is_of_now(own_ledger: str, damaged: asyncpg.Connection) -> None:
    told = await damaged.fetchval("SELECT clock_timestamp()")
    nowhere = {"SOLARIS_NATS_URL": "nats://127.0.0.1:1"}
    ran = await operate_on(own_ledger)("credit", account="account-00001", tokens=5, reason="r", environment=nowhere)
    assert (ran.code, ran.err) == (0, "")
    recorded = "SELECT max(recorded_at) FROM ledger.events WHERE account_id = 'account-00001'"
    assert await damaged.fetchval(recorded) > told


async def test_a_cycle_that_a_wrong_clock_started_is_put_back_with_all_that_was_used(
    own_ledger: str, damaged: asyncpg.Connection
) -> None:
    operate = operate_on(own_ledger)
    await operate("limit", account="early", new=1, tokens=10_000)
    before = (await operate("balance", account="early")).json
    now = await damaged.fetchval("SELECT clock_timestamp()")

    def reserve(reservation_id: str, prompt: int) -> ReserveTokens:
        return reserve_tokens("early", reservation_id, prompt=prompt, maximum=0)

    def settle(reservation_id: str, prompt: int) -> SettleUsage:
        return settle_usage("early", usage_recorded(reservation_id, prompt=prompt, started_at=now))

    async with Executor(own_ledger, roomy_policy()) as executor:
        executor.clock.observe(now)
        for reservation_id in ("e-1", "e-2"):
            await executor.submit(reserve(reservation_id, 1_000), Kind.RESERVE)
        await executor.submit(settle("e-1", 1_000), Kind.USAGE)
    async with Executor(own_ledger, roomy_policy()) as jumped:
        jumped.clock.observe(now + timedelta(days=40))
        await jumped.submit(ExpireReservation(account_id="early", reservation_id="e-2"), Kind.SWEEPER)
        await jumped.submit(reserve("e-3", 300), Kind.RESERVE)
        await jumped.submit(reserve("e-4", 20), Kind.RESERVE)
        await jumped.submit(settle("e-3", 300), Kind.USAGE)
        in_flight = await operate("correct-cycle", account="early", reason="too early")
        in_flight.assert_refused(2)
        await jumped.submit(settle("e-4", 20), Kind.USAGE)
    state = "SELECT state -> 'cycle' ->> 'id' FROM ledger.accounts WHERE account_id = 'early'"
    assert await damaged.fetchval(state) != before["cycle"]["id"]
    ran = await operate("correct-cycle", account="early", reason="the clock was 40 days ahead")
    assert (ran.code, ran.err) == (0, "")
    assert (ran.json["cycle"], ran.json["monthly_used"]) == (before["cycle"], 2_320)
    assert (ran.json["held"], ran.json["available"]) == (0, 10_000 - 2_320)
    assert (await operate("balance", account="early")).json == ran.json
    (await operate("correct-cycle", account="early", reason="again")).assert_refused(2)
    (await operate("correct-cycle", account="nobody", reason="r")).assert_refused(1)
    assert (await operate("verify")).code == 0
