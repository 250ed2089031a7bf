"""Money of which billing tells is kept once, whatever comes twice, late, out of order or beyond reading."""

from datetime import UTC, datetime
from itertools import permutations

import asyncpg
import nats
from chassis.provisioning import provision
from contracts.codec import encode
from contracts.events.billing import PlanChange, PurchaseRestored, PurchaseRevoked, TakenBackFor
from contracts.subjects import PROJECTOR_BILLING_CONSUMER
from contracts.topology import CONSUMERS, STREAMS
from msgspec.structs import replace

from tests.integration.ledger.billing_desk import BillingDesk
from tests.support.billing_messages import PERIOD, Said, plan_ended, plan_subscribed, purchased, restored, revoked
from tests.support.eventually import eventually
from tests.support.infrastructure import core_nats
from tests.support.ledger_operate import operate_on
from tests.support.projecting import projector_process

_OF = "SELECT kind, amount_minor, currency FROM revenue.movements WHERE account_id = $1 ORDER BY amount_minor DESC"


def with_money(said: Said, amount_minor: int, cause: TakenBackFor = TakenBackFor.REFUND) -> Said:
    assert isinstance(said.data, PurchaseRevoked | PurchaseRestored)
    return Said(replace(said.data, amount_minor=amount_minor, cause=cause))


def life(name: str, starts_at: datetime) -> list[Said]:
    """An order that is refunded in part and disputed and won, and a plan that is renewed and raised."""

    def period(plan: str, revision: int, change: PlanChange, at: datetime) -> Said:
        return plan_subscribed(name, plan, revision=revision, change=change, period_starts_at=at)

    return [
        purchased(name, 1_000, amount_minor=1_490),
        with_money(revoked(name, 600, revision=1), 500),
        with_money(revoked(name, 400, revision=2), 990, TakenBackFor.DISPUTE),
        with_money(restored(name, 400, revision=3), 990, TakenBackFor.DISPUTE),
        with_money(revoked(name, 400, revision=4), 0, TakenBackFor.FRAUD_WARNING),
        purchased(f"{name}-code", 9, amount_minor=0),
        period("premium", 1, PlanChange.STARTED, starts_at),
        period("premium", 2, PlanChange.RENEWED, starts_at + PERIOD),
        period("enterprise", 3, PlanChange.UPGRADED, starts_at + PERIOD),
        plan_ended(name, "enterprise", revision=4),
    ]


EXPECTED = sorted(
    [
        ("paid", 1_490, "usd"),
        ("refunded", -500, "usd"),
        ("disputed", -990, "usd"),
        ("disputed", 990, "usd"),
        ("paid", 2_490, "usd"),
        ("paid", 2_490, "usd"),
    ]
)
ORDERS = [*permutations(range(10))][:: 10 * 9 * 8 * 7 * 6 * 5 * 4 // 3]


async def test_each_movement_is_kept_once_in_whatever_order_it_is_told(
    own_ledger: str, damaged: asyncpg.Connection, nats_url: str
) -> None:
    operate = operate_on(own_ledger)
    async with core_nats(nats_url, service="ledger") as core:
        await provision(core, STREAMS, CONSUMERS)
    client = await nats.connect(nats_url)
    desk = BillingDesk(client, PROJECTOR_BILLING_CONSUMER)
    async with projector_process(own_ledger, nats_url) as killed:
        for number, order in enumerate(ORDERS):
            said = life(f"life-{number}", datetime(2026, 3, 2, tzinfo=UTC))
            await desk.say(f"life-{number}", *(said[index] for index in (*order, *order)))
        await desk.publish("solaris.billing.credits_purchased.somebody", b'{"type": "no event"}')
        await eventually(lambda: damaged.fetchval("SELECT count(*) FROM revenue.movements"), 20, message="it hears")
        killed.process.kill()
        await killed.process.wait()
    async with projector_process(own_ledger, nats_url):
        await desk.all_heard()
    await client.close()
    for number in range(len(ORDERS)):
        assert sorted(map(tuple, await damaged.fetch(_OF, f"life-{number}"))) == EXPECTED
    (letter,) = (await operate("dead-letters")).lines
    assert (letter["consumer"], letter["retried_at"]) == (PROJECTOR_BILLING_CONSUMER, None)


async def test_a_letter_about_money_is_noted_when_it_is_retried(own_ledger: str, damaged: asyncpg.Connection) -> None:
    said = purchased("mended", 1_000)
    await damaged.execute(
        """
        INSERT INTO ledger.dead_letters (consumer, message_id, subject, payload, reason) VALUES ($1, 'm', $2, $3, 'r')
        """,
        *(PROJECTOR_BILLING_CONSUMER, said.subject("ana"), encode(said.by("ana"))),
    )
    (retried,) = (await operate_on(own_ledger)("dead-letters-retry")).lines
    assert retried["retried"]
    assert [tuple(row) for row in await damaged.fetch(_OF, "ana")] == [("paid", 1_490, "usd")]
