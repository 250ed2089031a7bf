"""Orders are listed as records, and one order's life is told with a verdict first."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from uuid import UUID

import asyncpg
import pytest
from billing.domain.history import Change
from billing.domain.orders import Order, OrderKind, OrderState
from billing.store.orders import insert_order
from billing.store.outbox import Saying, append
from chassis.ids import new_uuid7
from contracts.codec import encode
from contracts.envelope import CloudEvent
from contracts.events.billing import CreditsPurchased, OrderSource, order_lot_id
from contracts.events.credits import CreditsGranted
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.ledger_operate import Operate

NOW = datetime.now(UTC).replace(microsecond=0)
NONE = "ord_" + "0" * 32


def _order(account: str, **fields: object) -> Order:
    known: dict[str, object] = {
        "id": f"ord_{token_hex(16)}",
        "kind": OrderKind.PACKAGE,
        "state": OrderState.PAID,
        "account_id": account,
        "package_id": "small",
        "tokens": 500_000,
        "amount_minor": 7490,
        "currency": "brl",
        "paid_minor": 7490,
        "created_at": NOW,
        "changed_at": NOW,
        "paid_at": NOW,
    }
    return Order(**(known | fields))  # type: ignore[arg-type]  # of its own fields


async def _write(engine: AsyncEngine, order: Order, *, says: bool = False) -> None:
    async with engine.begin() as connection:
        await insert_order(connection, order, [Change(what="created", who="test", why="=1+1")])
        if says:
            bought = CreditsPurchased(
                order_id=order.id,
                tokens=order.tokens,
                amount_minor=order.amount_minor,
                currency=order.currency,
                source=OrderSource.PACKAGE,
            )
            await append(connection, [Saying(account_id=order.account_id, subject_id=order.id, data=bought)])


async def test_orders_are_listed_by_whom_state_and_day(
    operate: Operate, engine: AsyncEngine, database: asyncpg.Connection
) -> None:
    long_ago = NOW - timedelta(days=40)
    early = _order("ana", created_at=long_ago, paid_at=long_ago)
    open_one = _order("ana", state=OrderState.OPEN, paid_at=None, paid_minor=None)
    gift = _order("bia", payer_id="ana")
    for order in (open_one, gift, early):
        await _write(engine, order)

    async def ids(**options: object) -> list[str]:
        ran = await operate("orders", **options)
        assert (ran.code, ran.err) == (0, "")
        return [line["order_id"] for line in ran.lines]

    assert await ids(account="ana") == [early.id, *sorted([open_one.id, gift.id])]
    assert await ids(account="bia") == [gift.id]
    assert await ids(account="ana", state="open") == [open_one.id]
    assert await ids(account="ana", to=(NOW - timedelta(days=30)).date()) == [early.id]
    assert early.id not in await ids(account="ana", from_=(NOW - timedelta(days=30)).date())
    (await operate("orders", account="nobody")).assert_refused(1)
    # Given back within these days, it is of these days too.
    await database.execute(
        "INSERT INTO billing.refunds (id, order_id, amount_minor, currency, status, created_at) "
        "VALUES ('re_late', $1, 1, 'brl', 'succeeded', now())",
        early.id,
    )
    assert early.id in await ids(account="ana", from_=(NOW - timedelta(days=30)).date())


async def test_a_table_has_a_line_for_each_record(
    operate: Operate, engine: AsyncEngine, database: asyncpg.Connection
) -> None:
    order = _order("tabled", payer_id="firm", revoked_tokens=5)
    await _write(engine, order)
    await database.execute(
        "INSERT INTO billing.refunds (id, order_id, amount_minor, currency, status, requested_by, created_at) "
        "VALUES ('re_table', $1, 100, 'brl', 'succeeded', 'operator:eva', now() + interval '1 minute')",
        order.id,
    )
    shown = await operate("orders", account="tabled", format="table")
    assert (shown.code, shown.err) == (0, "")
    bought, refunded = [" ".join(line.split()[2:]) for line in shown.out.splitlines()[3:]]
    told = "small: 500000 tokens for tabled, paid by firm; 5 tokens taken back"
    assert bought == f"order {order.id} paid 7490 brl {told}"
    assert refunded == "refund re_table succeeded -100 brl by operator:eva"


async def test_records_open_in_a_spreadsheet_without_formulas(
    operate: Operate, engine: AsyncEngine, database: asyncpg.Connection
) -> None:
    order = _order("csv", reference="=cmd|' /C calc'!A0", reason="+1", refunded_minor=100, revoked_tokens=5)
    await _write(engine, order)
    await database.execute(
        "INSERT INTO billing.refunds (id, order_id, amount_minor, currency, status, requested_by, reason, created_at) "
        "VALUES ('re_csv', $1, 100, 'brl', 'succeeded', 'operator:eva', '@SUM(A1)', now())",
        order.id,
    )
    rows = list(csv.DictReader(io.StringIO((await operate("orders", account="csv", format="csv")).out, newline="")))
    assert [(row["record"], row["id"]) for row in rows] == [("order", order.id), ("refund", "re_csv")]
    bought, refund = rows
    assert (bought["amount_minor"], bought["currency"], bought["reference"]) == ("7490", "brl", "'=cmd|' /C calc'!A0")
    assert (refund["amount_minor"], refund["entered_by"], refund["reason"]) == ("100", "operator:eva", "'@SUM(A1)")
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


async def test_a_life_tells_all_that_is_known_with_the_verdict_first(
    operate: Operate, engine: AsyncEngine, database: asyncpg.Connection
) -> None:
    order = _order("life", session_id="cs_test_life")
    await _write(engine, order, says=True)
    verdict = (await operate("orders", order=order.id)).out.splitlines()[0]
    assert "not yet told to the ledger" in verdict
    await database.execute(
        "INSERT INTO billing.relay (name, position) SELECT 'billing', max(position) FROM billing.outbox"
    )
    assert "not credited yet" in (await operate("orders", order=order.id)).out.splitlines()[0]
    event_id = await database.fetchval("SELECT event_id FROM billing.outbox WHERE subject_id = $1", order.id)
    letter = (
        "INSERT INTO ledger.dead_letters (consumer, message_id, subject, payload, reason) "
        "VALUES ('ledger-billing', $1, 's', '', 'no such plan') RETURNING id"
    )
    number = await database.fetchval(letter, str(event_id))
    assert "make dead-letters" in (await operate("orders", order=order.id)).out.splitlines()[0]
    await database.execute("UPDATE ledger.dead_letters SET retried_at = now() WHERE id = $1", number)
    await _grant(database, order)
    await database.execute(
        "INSERT INTO notifier.messages (account_id, cycle_id, kind, cause, figures, occurred_at, status, finished_at) "
        "VALUES ('life', 'c', 'credits-purchased', $1, '{}', now(), 'sent', now())",
        order.id,
    )
    await database.execute(
        "INSERT INTO billing.webhook_events (id, type, livemode, happened_at, payload, status, order_id, outcome) "
        "VALUES ('evt_life', 'checkout.session.completed', false, now(), '', 'handled', $1, 'paid')",
        order.id,
    )
    ran = await operate("orders", order=order.id)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0].startswith("paid at ")
    for part in (
        *("credited at", "cs_test_life", "ledger.credits_granted: 500000 tokens", "credits-purchased: sent"),
        *("evt_life: handled (paid)", "billing.credits_purchased, published", "created by test, why: =1+1"),
    ):
        assert part in ran.out
    life = (await operate("orders", order=order.id, format="json")).json
    assert life["order"]["order_id"] == order.id
    assert {len(life[name]) for name in ("changes", "received", "said", "credited", "mails")} == {1}
    assert life["dead_letters"] == []


async def test_a_life_tells_the_mails_of_a_plan_which_are_known_by_their_subscription(
    operate: Operate, engine: AsyncEngine, database: asyncpg.Connection
) -> None:
    order = _order("member")
    await _write(engine, order)
    await database.execute(
        "INSERT INTO notifier.messages (account_id, event, kind, cause, details, occurred_at, status, finished_at) "
        "VALUES ('member', 'billing.plan_subscribed', 'plan-changed', 'subscription:s:1', $1, now(), 'sent', now())",
        json.dumps({"order_id": order.id}),
    )
    assert "plan-changed: sent" in (await operate("orders", order=order.id)).out


async def _grant(database: asyncpg.Connection, order: Order) -> None:
    granted = CreditsGranted(
        lot_id=order_lot_id(order.id), tokens=order.tokens, source="package", reference=order.id, debt_repaid=0
    )
    event = CloudEvent(
        id=new_uuid7(),
        type="solaris.ledger.credits_granted.v1",
        source="solaris/ledger",
        subject=order.account_id,
        time=NOW,
        data=granted,
    )
    await database.execute(
        "INSERT INTO ledger.events (account_id, version, id, type, recorded_at, data, hash) "
        "VALUES ($1, 1, $2, $3, now(), $4, '')",
        order.account_id,
        UUID(event.id),
        event.type,
        encode(event),
    )


async def test_what_a_person_typed_moves_no_cursor(operate: Operate, engine: AsyncEngine) -> None:
    order = _order("cursor", reference="x")
    async with engine.begin() as connection:
        await insert_order(connection, order, [Change(what="created", who="t", why="\x1b[2Jgone\nverdict: fine")])
    out = (await operate("orders", order=order.id)).out
    assert "\x1b" not in out
    assert not any(line.startswith("verdict") for line in out.splitlines())


@pytest.mark.parametrize(
    "options",
    [
        {"order": NONE, "account": "ana"},
        {"order": NONE, "format": "csv"},
        {"from_": "2026-11-27", "to": "2026-11-26"},
    ],
)
async def test_what_does_not_belong_together_is_refused(operate: Operate, options: dict[str, object]) -> None:
    (await operate("orders", **options)).assert_refused(2)


async def test_no_such_order(operate: Operate) -> None:
    (await operate("orders", order=NONE)).assert_refused(1)
