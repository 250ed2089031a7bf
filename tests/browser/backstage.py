"""What a shopper does not see: what stands in billing's tables, and coupons at the demo Stripe."""

import json
import urllib.request
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import asyncpg

from tests.support.stack import Stack


async def webhook_time(stack: Stack, order_id: str) -> datetime:
    """When the word of the order's payment was received."""
    query = """
        SELECT min(received_at) FROM billing.webhook_events
        WHERE order_id = $1 AND type LIKE 'checkout.session.%'
    """
    ((received,),) = await _fetch(stack, query, order_id)
    assert isinstance(received, datetime), "no webhook was received"
    return received


async def orders_of(stack: Stack, account: str) -> list[str]:
    """The ids of an account's orders, newest first."""
    query = "SELECT id FROM billing.orders WHERE account_id = $1 ORDER BY created_at DESC"
    return [row[0] for row in await _fetch(stack, query, account)]


def demo_stripe_code(stack: Stack, code: str, *, percent_off: int) -> None:
    """Make a coupon and the code for it, as the shop's owner does at Stripe."""
    coupon = _ask_stripe(stack, "coupons", {"percent_off": percent_off, "duration": "once"})
    promotion = {"promotion[type]": "coupon", "promotion[coupon]": coupon["id"], "code": code}
    _ask_stripe(stack, "promotion_codes", promotion)


def _ask_stripe(stack: Stack, path: str, fields: dict[str, object]) -> dict[str, Any]:
    secret = json.loads((stack.directory / "secrets.json").read_bytes())["stripe_key"]
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.ports['stripe']}/v1/{path}",
        data=urlencode(fields).encode(),
        headers={"Authorization": f"Bearer sk_test_{secret}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        made: dict[str, Any] = json.load(answer)
    return made


async def _fetch(stack: Stack, query: str, *values: object) -> list[Any]:
    connection = await asyncpg.connect(stack.operator_environment()["SOLARIS_DATABASE_URL"])
    try:
        return list(await connection.fetch(query, *values))
    finally:
        await connection.close()
