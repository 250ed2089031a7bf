"""What the ledger says of an account beside its figures: how far it has heard billing."""

from datetime import UTC, datetime, timedelta

import pytest
from contracts.codec import encode
from contracts.events.billing import order_lot_id
from contracts.reads import BalanceRequest
from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.domain.catalog import Catalog, Plan
from ledger.domain.commands import GrantCredits, Revision, RevokeCredits, SubscribePlan
from ledger.domain.policy import Policy

from tests.integration.ledger.conftest import Conversation

PLANS = {name: Plan(name=name, monthly_tokens=10_000) for name in ("basic", "pro")}
POLICY = Policy(catalog=Catalog(version="1", plans=PLANS, models=()))


async def heard(gateway: Conversation, account_id: str, **named: str) -> int | None:
    answer = await gateway.read_balance(account_id, encode(BalanceRequest(**named)))
    assert answer.error is None
    return answer.heard_revision


async def test_a_read_says_how_far_billing_was_heard_of_an_order(gateway: Conversation, database_url: str) -> None:
    lot = order_lot_id("o1")
    async with Executor(database_url, POLICY) as elsewhere:
        assert await heard(gateway, "buyer", order_id="o1") is None
        grant = GrantCredits(account_id="buyer", lot_id=lot, tokens=500, source="billing", reference="o1")
        await elsewhere.submit(grant, Kind.ADMIN)
        assert await heard(gateway, "buyer", order_id="o1") == 0
        assert await heard(gateway, "buyer", order_id="o2") is None
        assert await heard(gateway, "buyer") is None
        revoke = RevokeCredits(account_id="buyer", lot_id=lot, tokens=500, reference="re", revision=Revision(1))
        await elsewhere.submit(revoke, Kind.ADMIN)
        assert await heard(gateway, "buyer", order_id="o1") == 1


async def test_a_read_says_how_far_billing_was_heard_of_a_subscription(
    gateway: Conversation, database_url: str
) -> None:
    async with Executor(database_url, POLICY) as elsewhere:
        subscribe = SubscribePlan(
            account_id="member",
            subscription_id="s1",
            revision=Revision(1),
            plan="pro",
            period_starts_at=datetime.now(UTC),
            period_ends_at=datetime.now(UTC) + timedelta(days=30),
        )
        await elsewhere.submit(subscribe, Kind.ADMIN)
    assert await heard(gateway, "member", subscription_id="s1") == 1
    assert await heard(gateway, "member", subscription_id="s2") is None


@pytest.mark.parametrize("payload", [b"\xff", b"[]", b'{"order_id":"a b"}', b'{"order_id":7}'])
async def test_a_question_that_is_none_is_told_so(gateway: Conversation, payload: bytes) -> None:
    answer = await gateway.read_balance("anybody", payload)
    assert answer.error == "not a request for a balance"
    assert answer.balance is None
