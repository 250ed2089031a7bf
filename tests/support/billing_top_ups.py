"""Accounts with auto top-up on the stage of billing, and a ledger that says what they have left."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import nats
from contracts.accounts import account_of_token, subject_token
from contracts.balance import Balance, Cycle
from contracts.codec import encode
from contracts.reads import BalanceAnswer
from contracts.subjects import READ_BALANCE_PREFIX
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.support.billing import SERVICE_KEY, BillingStage
from tests.support.eventually import eventually

KEY = {"authorization": f"Bearer {SERVICE_KEY}"}


@dataclass(kw_only=True)
class LedgerPart:
    """Answers what accounts have left, and publishes that they used something; `asked` counts the questions."""

    client: Client
    left: dict[str, int] = field(default_factory=dict)
    blocked: set[str] = field(default_factory=set)
    asked: int = 0

    async def answer(self, message: Msg) -> None:
        self.asked += 1
        account_id = account_of_token(message.subject.rpartition(".")[2]) or ""
        status = "blocked" if account_id in self.blocked else "active"
        balance = _balance(account_id, self.left.get(account_id, 10**9), status)
        await message.respond(encode(BalanceAnswer(balance=balance)))

    async def uses(self, account_id: str, times: int = 1) -> None:
        """So many calls were settled."""
        jetstream = self.client.jetstream()
        subject = f"solaris.ledger.usage_settled.{subject_token(account_id)}"
        await asyncio.gather(*(jetstream.publish(subject, b"{}", timeout=30) for _ in range(times)))


@contextlib.asynccontextmanager
async def playing_ledger(nats_url: str) -> AsyncIterator[LedgerPart]:
    client = await nats.connect(nats_url, inbox_prefix="_INBOX_operator", connect_timeout=5)
    try:
        ledger = LedgerPart(client=client)
        await client.subscribe(f"{READ_BALANCE_PREFIX}.>", cb=ledger.answer)
        yield ledger
    finally:
        await client.close()


async def saves_a_card(stage: BillingStage, account_id: str) -> None:
    answer = await stage.http.post(f"{stage.url}/billing/accounts/{account_id}/card", json={}, headers=KEY)
    assert answer.status_code == 200, answer.text
    await stage.stripe.pay(answer.json()["checkout_url"])


async def put_top_up(stage: BillingStage, account_id: str, **more: Any) -> Any:
    """The answer, whatever it is."""
    body = {"package_id": "small", "below_tokens": 100_000, **more}
    return await stage.http.put(f"{stage.url}/billing/accounts/{account_id}/top-up", json=body, headers=KEY)


async def tops_up(stage: BillingStage, account_id: str, *, card: bool = True, **more: Any) -> None:
    """Auto top-up is on, and seen to be."""
    if card:
        await saves_a_card(stage, account_id)
    answer = await put_top_up(stage, account_id, **more)
    assert answer.status_code == 200, answer.text
    await looked_at(stage, account_id)


async def looked_at(stage: BillingStage, account_id: str) -> dict[str, Any]:
    """The row once no look at it is due any more."""

    async def rests() -> dict[str, Any] | None:
        (row,) = await stage.rows(
            "SELECT *, look_due_at > now() + interval '20 minutes' AS rests FROM billing.top_ups WHERE account_id = $1",
            account_id,
        )
        return row if row["rests"] or row["paused_for"] is not None else None

    return await eventually(rests, 30.0, message="no look is due")


async def orders_of(stage: BillingStage, account_id: str) -> list[dict[str, Any]]:
    return await stage.rows(
        "SELECT * FROM billing.orders WHERE account_id = $1 AND kind = 'top_up' ORDER BY created_at", account_id
    )


async def payments_of(stage: BillingStage, account_id: str) -> list[str]:
    """How the payments that Stripe knows for the account's orders stand, the oldest first."""
    payments = await stage.stripe.client.v1.payment_intents.list_async({"limit": 100})
    of_account = [each for each in payments.data if each.metadata.to_dict().get("account_id") == account_id]
    return [each.status for each in sorted(of_account, key=lambda each: each.created)]


def _balance(account_id: str, left: int, status: str) -> Balance:
    now = datetime.now(UTC)
    return Balance(
        account_id=account_id,
        plan="basic",
        status=status,
        cycle=Cycle(id="2026-11", starts_at=now - timedelta(days=1), ends_at=now + timedelta(days=29)),
        monthly_limit=max(left, 0),
        monthly_used=0,
        monthly_remaining=max(left, 0),
        credits=0,
        held=0,
        debt=max(-left, 0),
        available=left,
    )
