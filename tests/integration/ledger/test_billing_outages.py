"""Postgres, NATS or the stream itself away while billing speaks: all is heard when they are back, each once."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import nats
import pytest
import pytest_asyncio
from chassis.dead_letters import PoisonError
from chassis.delivery import Delivery, NotYetError
from chassis.migrations import migrate
from contracts import subjects
from contracts.balance import Balance
from contracts.codec import encode
from contracts.events.billing import PlanChange
from ledger.application.executor import Executor
from ledger.domain.catalog import Catalog, Plan
from ledger.domain.policy import Policy
from ledger.messaging.billing import Hearing
from ledger.store.read_path import load_account
from local_run.ports import any_free
from local_run.servers.nats_server import running_nats
from local_run.servers.postgres import running_postgres
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.integration.ledger.billing_desk import BillingDesk
from tests.integration.ledger.conftest import Conversation, LedgerProcess
from tests.support.billing_messages import Said, plan_subscribed, purchased, restored, revoked
from tests.support.eventually import eventually

POLICY = Policy(
    catalog=Catalog(
        version="1",
        plans={name: Plan(name=name, monthly_tokens=tokens) for name, tokens in (("basic", 1_000), ("premium", 2_000))},
        models=(),
    )
)


async def test_a_deleted_stream_comes_back_and_the_next_is_heard(gateway: Conversation) -> None:
    desk = BillingDesk(gateway.client)
    await desk.say("deleted", purchased("before", 100))
    await desk.all_heard()
    await gateway.client.jetstream().delete_stream(subjects.BILLING_STREAM)
    await desk.say("deleted", purchased("after", 50))

    async def heard() -> bool:
        return (await gateway.balance("deleted")).credits == 150

    await eventually(heard, 20)


async def test_postgres_and_nats_stopped_meanwhile_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    postgres_port, nats_port = any_free(), any_free()
    life = [purchased("order-1", 1_000), revoked("order-1", 600, revision=1), restored("order-1", 400, revision=2)]
    async with running_nats(tmp_path / "nats", port=nats_port) as server:
        async with running_postgres(tmp_path / "postgres", port=postgres_port) as postgres:
            database_url = postgres.url("postgres")
            await migrate(database_url, "ledger")
            client = await nats.connect(server.url(), max_reconnect_attempts=-1, reconnect_time_wait=0.2)
            ledger = LedgerProcess(
                {
                    "SOLARIS_DATABASE_URL": database_url,
                    "SOLARIS_NATS_URL": server.url("ledger"),
                    "SOLARIS_LEDGER_PORT": str(any_free()),
                },
                client,
            )
            await ledger.start()
            desk = BillingDesk(client)
            await desk.say("away", life[0])
            await desk.all_heard()
        await desk.say("away", *life)  # Postgres is stopped
        async with running_postgres(tmp_path / "postgres", port=postgres_port):
            await desk.all_heard()
    async with (
        running_postgres(tmp_path / "postgres", port=postgres_port),
        running_nats(tmp_path / "nats", port=nats_port),
    ):
        await desk.say("away", *life, purchased("order-2", 5))
        await desk.all_heard()
        connection = await asyncpg.connect(database_url)
        known = await load_account(connection, "away")
        letters = await connection.fetchval("SELECT count(*) FROM ledger.dead_letters")
        await connection.close()
        assert known is not None
        assert (known[0].credits, known[0].debt, letters) == (805, 0, 0)
        assert await ledger.stop() == 0
        await client.close()


# --- what waits -----------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def executor(migrated: str) -> AsyncIterator[Executor]:
    async with Executor(migrated, POLICY) as executor:
        yield executor


@pytest.fixture
def unused() -> AsyncConnection:
    """The executor has connections of its own."""
    return None  # type: ignore[return-value]


def delivery(account_id: str, said: Said) -> Delivery:
    return Delivery(said.subject(account_id), encode(said.by(account_id)))


async def test_what_waits_for_its_purchase_in_vain_is_given_up(executor: Executor, unused: AsyncConnection) -> None:
    revoke = delivery("vain", revoked("never", 10, revision=1))
    patient, at_the_end = Hearing(executor), Hearing(executor, patience_seconds=0)
    for _ in range(3):
        with pytest.raises(NotYetError, match="no lot order:never"):
            await patient.hear(unused, revoke)
    with pytest.raises(PoisonError, match="no lot order:never"):
        await at_the_end.hear(unused, revoke)
    await patient.hear(unused, delivery("vain", purchased("never", 30)))
    await patient.hear(unused, revoke)


async def test_a_subscription_of_which_something_is_lost_is_heard_all_the_same(
    executor: Executor, unused: AsyncConnection, database: asyncpg.Connection
) -> None:
    starts_at = datetime.now(UTC).replace(microsecond=0)
    renewed = delivery(
        "lost",
        plan_subscribed("sub", "premium", revision=2, change=PlanChange.RENEWED, period_starts_at=starts_at),
    )
    with pytest.raises(NotYetError, match="revision 2 of subscription sub came before revision 1"):
        await Hearing(executor).hear(unused, renewed)
    await Hearing(executor, patience_seconds=0).hear(unused, renewed)
    await Hearing(executor).hear(unused, renewed)
    known = await load_account(database, "lost")
    assert known is not None
    balance: Balance = known[0].balance()
    assert (balance.plan, balance.monthly_limit) == ("premium", 2_000)


async def test_a_ledger_that_stops_puts_back_what_it_can_t_carry_out(migrated: str, unused: AsyncConnection) -> None:
    async with Executor(migrated, POLICY) as executor:
        pass
    with pytest.raises(NotYetError):
        await Hearing(executor).hear(unused, delivery("stopped", purchased("late", 10)))
