"""Orders that operators enter live as all others do: once per key, approved by a second person, given back exactly."""

import asyncio
import json
import os
import pwd
from datetime import timedelta

import asyncpg
import pytest
from billing.application.looking import OrderLooks
from billing.application.manual_orders import ManualOrders
from billing.application.sweeping import Sweeper
from billing.domain.facts import RefundFacts
from billing.domain.history import Change
from billing.domain.manual_orders import Entry
from billing.domain.offers import Offers
from billing.domain.orders import OrderState
from billing.store.asked_refunds import record_refund
from billing.store.orders import load_order
from contracts.errors import ConflictError, InvalidError, NotFoundError
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.eventually import eventually
from tests.support.ledger_operate import Operate

ME = f"operator:{pwd.getpwuid(os.getuid()).pw_name}"


def order_of(account: str, **options: object) -> dict[str, object]:
    """What `make order` needs."""
    known: dict[str, object] = {"account": account, "tokens": 500_000, "paid_by": "bank_transfer"}
    return known | {"reference": "E-1", "reason": "João paid at the desk"} | options


async def said(database: asyncpg.Connection, account: str) -> list[tuple[str, dict[str, object]]]:
    """What billing said of the account's orders, first to last."""
    rows = await database.fetch(
        "SELECT name, payload FROM billing.outbox WHERE account_id = $1 ORDER BY position", account
    )
    return [(row["name"].removeprefix("billing."), json.loads(row["payload"])["data"]) for row in rows]


async def test_an_order_is_paid_at_once_and_credited_once(operate: Operate, database: asyncpg.Connection) -> None:
    ran = await operate("order", **order_of("once", amount=7490, currency="brl"))
    assert (ran.code, ran.err) == (0, "")
    assert (ran.json["state"], ran.json["tokens"], ran.json["amount_minor"]) == ("paid", 500_000, 7490)
    again = await operate("order", **order_of("once", amount=7490, currency="brl"))
    assert (again.code, again.json) == (0, ran.json)
    ((name, data),) = await said(database, "once")
    assert (name, data["source"], data["tokens"], data["amount_minor"]) == (
        "credits_purchased",
        "manual",
        500_000,
        7490,
    )
    (record,) = (await operate("orders", account="once")).lines
    assert (record["paid_by"], record["reference"], record["entered_by"]) == ("bank_transfer", "E-1", ME)
    assert record["reason"] == "João paid at the desk"


async def test_an_account_that_the_ledger_does_not_know_is_told(operate: Operate, database: asyncpg.Connection) -> None:
    assert (await operate("order", **order_of("typo"))).json["account_is_new"]
    await database.execute("INSERT INTO ledger.accounts (account_id, version) VALUES ('known', 1)")
    assert "account_is_new" not in (await operate("order", **order_of("known"))).json


async def test_a_refund_whose_process_died_is_followed_by_the_sweep(
    operate: Operate, database: asyncpg.Connection, engine: AsyncEngine
) -> None:
    order_id = (await operate("order", **order_of("half-refunded", amount=100))).json["order_id"]
    order = await load_order(engine, order_id)
    assert order is not None
    refund = RefundFacts(
        id="outside:x", amount_minor=50, currency="brl", status="succeeded", created_at=order.created_at
    )
    assert await record_refund(engine, order, refund, Change(what="refund_made", who=ME, why="r"))
    sweeping = asyncio.create_task(Sweeper(engine=engine, looks=_looks(engine)).run())

    async def is_taken_back() -> bool:
        return [name for name, _ in await said(database, "half-refunded")] == ["credits_purchased", "credits_revoked"]

    try:
        await eventually(is_taken_back, 20)
    finally:
        sweeping.cancel()


async def test_no_event_holds_what_a_person_typed(operate: Operate, database: asyncpg.Connection) -> None:
    order_id = (await operate("order", **order_of("typed", amount=10))).json["order_id"]
    await operate("refund", order=order_id, reason="Maria asked for it")
    payloads = await database.fetch("SELECT payload FROM billing.outbox WHERE account_id = 'typed'")
    assert len(payloads) == 2
    assert not any(word in row["payload"].decode() for row in payloads for word in ("João", "Maria", "E-1"))


async def test_parallel_repetitions_make_one_order(operate: Operate, database: asyncpg.Connection) -> None:
    ran = await asyncio.gather(*(operate("order", **order_of("parallel")) for _ in range(3)))
    assert {each.code for each in ran} == {0}
    assert len({each.json["order_id"] for each in ran}) == 1
    assert len(await said(database, "parallel")) == 1


@pytest.mark.parametrize("other", [{"tokens": 1}, {"reason": "else"}, {"amount": 5}, {"paid_by": "cash"}])
async def test_the_same_key_with_another_content_is_an_error(operate: Operate, other: dict[str, object]) -> None:
    account = f"key-{next(iter(other))}"
    first = (await operate("order", **order_of(account, key="k"))).json["order_id"]
    ran = await operate("order", **order_of(account, key="k", **other))
    ran.assert_refused(1)
    assert first in ran.err
    by_reference = await operate("order", **order_of(account))
    assert by_reference.json["order_id"] != first
    (await operate("order", **order_of(account, **other))).assert_refused(1)
    assert (await operate("order", **order_of(account, **other, key="another"))).code == 0


async def test_a_package_costs_what_the_catalog_says_and_a_courtesy_nothing(operate: Operate) -> None:
    package = order_of("package", package="small")
    del package["tokens"]
    bought = (await operate("order", **package)).json
    assert bought["amount_minor"] > 0
    gift = (await operate("order", **(package | {"paid_by": "courtesy", "reference": "E-2"}))).json
    assert (gift["tokens"], gift["amount_minor"]) == (bought["tokens"], 0)
    (await operate("order", **(package | {"package": "smal", "reference": "E-3"}))).assert_refused(2)
    (await operate("order", **(package | {"tokens": 5, "reference": "E-3"}))).assert_refused(2)


async def test_a_large_order_waits_and_whoever_entered_it_cannot_approve_it(
    operate: Operate, database: asyncpg.Connection, engine: AsyncEngine
) -> None:
    large = {"SOLARIS_APPROVAL_TOKENS": "1000"}
    ran = await operate("order", environment=large, **order_of("large", tokens=1001))
    assert ran.json["state"] == "awaiting_approval"
    assert await said(database, "large") == []
    order_id = ran.json["order_id"]
    refused = await operate("approve", order=order_id)
    refused.assert_refused(2)
    assert "second person" in refused.err
    assert "make approve" in (await operate("orders", order=order_id)).out.splitlines()[0]
    approved = await _manual(engine).approve(order_id, by="operator:eva")
    assert approved.state is OrderState.PAID
    assert (await _manual(engine).approve(order_id, by="operator:eva")).version == approved.version
    with pytest.raises(InvalidError):
        await _manual(engine).approve(order_id, by="operator:bob")
    assert [name for name, _ in await said(database, "large")] == ["credits_purchased"]
    (record,) = (await operate("orders", account="large")).lines
    assert (record["entered_by"], record["approved_by"]) == (ME, "operator:eva")


async def test_two_who_approve_at_once_credit_once(database: asyncpg.Connection, engine: AsyncEngine) -> None:
    order = await _manual(engine, above=0).enter(_entry("both"), NOTHING_SOLD, by=ME, key=None)
    results = await asyncio.gather(
        *(_manual(engine).approve(order.id, by=f"operator:{name}") for name in ("eva", "bob", "eva")),
        return_exceptions=True,
    )
    errors = [each for each in results if isinstance(each, BaseException)]
    assert all(isinstance(each, ConflictError | InvalidError) for each in errors)
    assert len(errors) < 3
    assert len(await said(database, "both")) == 1


async def test_an_order_that_nobody_approves_is_cancelled_by_its_refund(
    operate: Operate, database: asyncpg.Connection, engine: AsyncEngine
) -> None:
    order = await _manual(engine, above=0).enter(_entry("unwanted"), NOTHING_SOLD, by=ME, key=None)
    ran = await operate("refund", order=order.id, reason="a typing error")
    assert (ran.json["state"], ran.json["refund_id"]) == ("cancelled", None)
    assert await said(database, "unwanted") == []
    with pytest.raises(InvalidError):
        await _manual(engine).approve(order.id, by="operator:eva")
    (await operate("refund", order=order.id, reason="again")).assert_refused(2)


async def test_whoever_is_not_known_is_not_approved(engine: AsyncEngine) -> None:
    with pytest.raises(NotFoundError):
        await _manual(engine).approve("ord_none", by="operator:eva")


async def test_an_order_whose_process_died_is_paid_by_the_sweep(
    database: asyncpg.Connection, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(OrderLooks, "look_anew", die)
        with pytest.raises(KeyboardInterrupt):
            await _manual(engine).enter(_entry("died"), NOTHING_SOLD, by=ME, key=None)
    assert await said(database, "died") == []
    sweeping = asyncio.create_task(Sweeper(engine=engine, looks=_looks(engine)).run())
    try:
        await eventually(lambda: _has_said(database, "died"), 20)
    finally:
        sweeping.cancel()
    assert [name for name, _ in await said(database, "died")] == ["credits_purchased"]


async def test_parts_that_are_given_back_add_up_to_exactly_what_was_bought(
    operate: Operate, database: asyncpg.Connection
) -> None:
    order_id = (await operate("order", **order_of("parts", tokens=1_000_003, amount=997))).json["order_id"]
    for amount in (1, 332, 1, 500):
        ran = await operate("refund", order=order_id, amount=amount, reason="a part")
        assert (ran.code, ran.json["status"], ran.json["refund_minor"]) == (0, "succeeded", amount)
    (await operate("refund", order=order_id, amount=164, reason="too much")).assert_refused(2)
    rest = await operate("refund", order=order_id, reason="the rest")
    assert (rest.json["refund_minor"], rest.json["refunded_minor"], rest.json["revoked_tokens"]) == (
        163,
        997,
        1_000_003,
    )
    (await operate("refund", order=order_id, reason="once more")).assert_refused(2)
    revoked = [data for name, data in await said(database, "parts") if name == "credits_revoked"]
    assert [data["revision"] for data in revoked] == [1, 2, 3, 4, 5]
    assert sum(int(str(data["tokens"])) for data in revoked) == 1_000_003
    (record,) = (await operate("orders", account="parts")).lines
    assert [(each["amount_minor"], each["reason"], each["requested_by"]) for each in record["refunds"]][-1] == (
        *(163, "the rest"),
        ME,
    )


async def test_a_courtesy_is_taken_back_as_a_whole(operate: Operate, database: asyncpg.Connection) -> None:
    order_id = (await operate("order", **order_of("gift", paid_by="courtesy"))).json["order_id"]
    (await operate("refund", order=order_id, amount=5, reason="r")).assert_refused(2)
    assert (await operate("refund", order=order_id, reason="by mistake")).json["revoked_tokens"] == 500_000
    (await operate("refund", order=order_id, reason="again")).assert_refused(2)
    assert [name for name, _ in await said(database, "gift")] == ["credits_purchased", "credits_revoked"]


async def test_two_refunds_of_the_same_at_once_are_one(operate: Operate, database: asyncpg.Connection) -> None:
    order_id = (await operate("order", **order_of("twice", amount=100))).json["order_id"]
    ran = await asyncio.gather(*(operate("refund", order=order_id, reason="all of it") for _ in range(3)))
    assert [each.code for each in ran].count(0) == 1
    assert len([name for name, _ in await said(database, "twice") if name == "credits_revoked"]) == 1


async def test_no_such_order(operate: Operate) -> None:
    (await operate("refund", order="ord_" + "0" * 32, reason="r")).assert_refused(1)
    (await operate("approve", order="ord_" + "0" * 32)).assert_refused(1)


NOTHING_SOLD = Offers(packages=[], plans=[])


def _entry(account: str) -> Entry:
    return Entry(account_id=account, tokens=5, paid_by="cash", reference="E-1", reason="r")


def _looks(engine: AsyncEngine) -> OrderLooks:
    return OrderLooks(engine=engine, stripe=None, again_after=timedelta(minutes=10))


def _manual(engine: AsyncEngine, *, above: int = 10**6) -> ManualOrders:
    return ManualOrders(engine=engine, looks=_looks(engine), approval_tokens=above, livemode=False)


async def _has_said(database: asyncpg.Connection, account: str) -> bool:
    return bool(await said(database, account))
