"""The rows of one account, as it gets and as it pays: handed out, and relieved of what is personal.

What was bought, paid and given back has to be kept for the books. It names nobody but by the account's id, and by ids
of Stripe's, who has name and address.
"""

from collections.abc import AsyncGenerator
from typing import Any, Final

from chassis.postgres import statements
from contracts.accounts import subject_token
from contracts.codec import DECODE_ERRORS
from msgspec import Struct, json
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.store.tables import LETTERS

_ORDERS: Final = "SELECT id FROM billing.orders WHERE account_id = :account OR payer_id = :account"
_SUBSCRIPTIONS: Final = "SELECT id FROM billing.subscriptions WHERE account_id = :account OR payer_id = :account"
_CUSTOMERS_OF: Final = """
    SELECT customer_id FROM billing.customers WHERE payer_id = :account
    UNION SELECT customer_id FROM billing.orders
    WHERE coalesce(payer_id, account_id) = :account AND customer_id IS NOT NULL
"""
_NAMES_THEM: Final = f"""
    EXISTS (
        SELECT FROM ({_CUSTOMERS_OF}) AS customers
        WHERE position(convert_to('"' || customer_id || '"', 'UTF8') IN payload) > 0
    )
"""
_IS_EVENT: Final = f"(order_id IN ({_ORDERS}) OR subscription_id IN ({_SUBSCRIPTIONS}) OR {_NAMES_THEM})"
_SAID: Final = "to_jsonb(t) - 'payload' || jsonb_build_object('payload', convert_from(payload, 'UTF8')::jsonb)"
"""An event of billing's own, which is JSON that Postgres takes."""
_KEPT: Final[dict[str, TextClause]] = {
    name: text(f"SELECT {row} FROM billing.{table} AS t WHERE {which}")  # noqa: S608  as above
    for name, row, table, which in (
        ("orders", "to_jsonb(t)", "orders", f"id IN ({_ORDERS}) ORDER BY created_at, id"),
        ("order_changes", "to_jsonb(t)", "order_changes", f"order_id IN ({_ORDERS}) ORDER BY id"),
        ("refunds", "to_jsonb(t)", "refunds", f"order_id IN ({_ORDERS}) ORDER BY created_at, id"),
        ("disputes", "to_jsonb(t)", "disputes", f"order_id IN ({_ORDERS}) ORDER BY created_at, id"),
        ("redemptions", "to_jsonb(t)", "redemptions", "account_id = :account ORDER BY redeemed_at, order_id"),
        ("subscriptions", "to_jsonb(t)", "subscriptions", f"id IN ({_SUBSCRIPTIONS}) ORDER BY created_at, id"),
        (
            "subscription_changes",
            "to_jsonb(t)",
            "subscription_changes",
            f"subscription_id IN ({_SUBSCRIPTIONS}) ORDER BY id",
        ),
        ("invoices", "to_jsonb(t)", "subscription_invoices", f"subscription_id IN ({_SUBSCRIPTIONS}) ORDER BY id"),
        ("manual_orders", "to_jsonb(t)", "manual_orders", f"order_id IN ({_ORDERS}) ORDER BY order_id"),
        ("said", _SAID, "outbox", "account_id = :account ORDER BY position"),
        ("top_ups", "to_jsonb(t)", "top_ups", "account_id = :account OR payer_id = :account"),
        ("stripe_customers", "to_jsonb(t)", "customers", "payer_id = :account ORDER BY customer_id"),
    )
}
_EVENTS: Final = text(f"""
    SELECT to_jsonb(t) - 'payload' AS row, payload FROM billing.webhook_events AS t
    WHERE {_IS_EVENT} ORDER BY received_at, id
""")  # noqa: S608  as above
_FORGET_EVENTS: Final = text(f"""
    UPDATE billing.webhook_events SET payload = NULL
    WHERE payload IS NOT NULL AND status <> 'waiting' AND {_IS_EVENT}
""")  # noqa: S608  as above
_WAITING_EVENTS: Final = text(f"""
    SELECT count(*) FROM billing.webhook_events WHERE payload IS NOT NULL AND status = 'waiting' AND {_IS_EVENT}
""")  # noqa: S608  as above
_FORGET_LETTERS: Final = text(f"""
    UPDATE billing.dead_letters SET payload = ''
    WHERE payload <> '' AND ({_NAMES_THEM} OR message_id IN (SELECT id FROM billing.webhook_events WHERE {_IS_EVENT}))
""")  # noqa: S608  as above
_FORGET_ORDERS: Final = text(f"""
    UPDATE billing.orders SET locale = NULL, session_url = NULL, receipt_url = NULL, code_url = NULL,
        version = version + 1
    WHERE id IN ({_ORDERS})
""")  # noqa: S608  as above
_ERASE_REASONS: Final = text("SELECT billing.erase_reasons(:account)")
_STOP_TOP_UPS: Final = text("""
    UPDATE billing.top_ups SET is_on = false, look_due_at = now(), version = version + 1, changed_at = now()
    WHERE (account_id = :account OR payer_id = :account) AND is_on
""")
_CUSTOMERS: Final = text(f"{_CUSTOMERS_OF} ORDER BY customer_id")
_LIVE: Final = text(f"""
    SELECT id FROM billing.subscriptions
    WHERE id IN ({_SUBSCRIPTIONS}) AND status NOT IN ('canceled', 'incomplete_expired') ORDER BY id
""")  # noqa: S608  as above


class Forgotten(Struct, frozen=True, kw_only=True):
    """What was erased and stopped, and what is left: here for the books, and at Stripe for whoever deletes it there.

    `events_waiting` are Stripe's events that are not handled yet: they go when this is done once more.
    """

    events_erased: int
    events_waiting: int
    reasons_erased: int
    letters_erased: int
    orders_kept: int
    top_ups_stopped: int
    stripe_customers: list[str]
    live_subscriptions: list[str]


async def load_person(engine: AsyncEngine, account_id: str) -> AsyncGenerator[tuple[str, object]]:
    """All that is kept of the account, row by row, each with what it is; times in ISO 8601."""
    async with statements(engine) as connection:
        for name, query in _KEPT.items():
            for row in (await connection.execute(query, {"account": account_id})).scalars():
                yield name, row
        for event in await connection.execute(_EVENTS, {"account": account_id}):
            yield "stripe_events", event.row | {"payload": _readable(event.payload)}
    async for letter in LETTERS.load_about(engine, subject_token(account_id)):
        yield "dead_letters", LETTERS.listed(letter)


def _readable(payload: bytes | None) -> Any:  # as Stripe has it
    """What Stripe sent as JSON has it, which is more than Postgres takes for any; else as text."""
    if payload is None:
        return None
    try:
        return json.decode(payload)
    except DECODE_ERRORS:
        return payload.decode(errors="replace")


async def erase_person(engine: AsyncEngine, account_id: str, *, by: str) -> Forgotten:
    """Erase what is personal, in one transaction; a look that is just being taken at an order finds it changed.

    Dead letters of messages go before, which is harmless where the rest does not follow.
    """
    letters = await LETTERS.erase_about(engine, subject_token(account_id), by=by, reason="its person was forgotten")
    async with engine.begin() as connection:
        # What was given up on is the same event once more; it is told by its event, as long as that says something.
        letters += await _count(connection, _FORGET_LETTERS, account_id)
        return Forgotten(
            letters_erased=letters,
            reasons_erased=await _number(connection, _ERASE_REASONS, account_id),
            events_erased=await _count(connection, _FORGET_EVENTS, account_id),
            events_waiting=await _number(connection, _WAITING_EVENTS, account_id),
            orders_kept=await _count(connection, _FORGET_ORDERS, account_id),
            top_ups_stopped=await _count(connection, _STOP_TOP_UPS, account_id),
            stripe_customers=await _list(connection, _CUSTOMERS, account_id),
            live_subscriptions=await _list(connection, _LIVE, account_id),
        )


async def _count(connection: AsyncConnection, statement: TextClause, account_id: str) -> int:
    return (await connection.execute(statement, {"account": account_id})).rowcount


async def _number(connection: AsyncConnection, query: TextClause, account_id: str) -> int:
    return int((await connection.execute(query, {"account": account_id})).scalar_one())


async def _list(connection: AsyncConnection, query: TextClause, account_id: str) -> list[str]:
    return list((await connection.execute(query, {"account": account_id})).scalars())
