"""Whose balance may have fallen is heard of watched accounts alone, and nothing that was missed stays unknown."""

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from urllib.parse import urlsplit

import pytest_asyncio
from billing.domain.top_ups import TopUp
from billing.messaging.balance_changes import BalanceChanges
from billing.store.top_ups import claim_due, look_again, make_due, set_top_up
from chassis.core_nats.client import CoreNats
from chassis.core_nats.wire import Message
from chassis.jetstream import Message as StreamMessage
from chassis.jetstream import publish_in_order
from chassis.postgres import create_engine, disposed
from chassis.provisioning import provision
from contracts.accounts import subject_token
from contracts.topology import STREAMS

from tests.support.chokepoint import Chokepoint, chokepoint
from tests.support.eventually import eventually
from tests.support.infrastructure import core_nats


class CountedNats(CoreNats):
    """Counts what the server sends to it on subscriptions made from now on."""

    heard = 0

    def subscribe(self, subject: str, handler: Callable[[Message], None], *, queue: str = "") -> bytes:
        def counted(message: Message) -> None:
            self.heard += not subject.startswith("_INBOX")
            handler(message)

        return super().subscribe(subject, counted, queue=queue)


@pytest_asyncio.fixture
async def ledger(nats_url: str) -> AsyncIterator[CoreNats]:
    async with core_nats(nats_url) as client:
        await provision(client, STREAMS, ())
        yield client


@pytest_asyncio.fixture
async def point(nats_url: str) -> AsyncIterator[Chokepoint]:
    parts = urlsplit(nats_url)
    async with chokepoint(parts.hostname or "", parts.port or 0) as point:
        yield point


@pytest_asyncio.fixture
async def billing(nats_url: str, point: Chokepoint) -> AsyncIterator[CountedNats]:
    async with CountedNats(nats_url.replace(str(point.server_port), str(point.port)), service="billing") as client:
        assert await client.wait_connected(10)
        yield client


async def say(ledger: CoreNats, *accounts: str, name: str = "usage_settled") -> None:
    """As its relay does, in one atomic batch where that pays."""
    subjects = [f"solaris.ledger.{name}.{subject_token(account)}" for account in accounts]
    await publish_in_order(ledger, [StreamMessage(each, b"{}", f"{each}-{n}") for n, each in enumerate(subjects)])


async def test_of_many_peoples_usage_only_that_of_watched_accounts_is_sent(
    ledger: CoreNats, billing: CountedNats
) -> None:
    changes = BalanceChanges(billing)
    assert await changes.of({"ana", "bia"}) == {"ana", "bia"}
    assert await changes.of({"ana", "bia"}) == set()
    await say(ledger, *(f"other-{number}" for number in range(100)), "ana", "ana")
    await say(ledger, "bia", name="reservation_expired")
    await eventually(lambda: billing.heard >= 3)
    assert await changes.of({"ana", "bia"}) == {"ana", "bia"}
    assert await changes.of({"bia"}) == set()
    await say(ledger, "ana", "bia")
    await eventually(lambda: billing.heard >= 4)
    assert (await changes.of({"bia"}), billing.heard) == ({"bia"}, 4)


async def test_who_is_watched_anew_counts_once_as_nobody_listened_before(
    ledger: CoreNats, billing: CountedNats
) -> None:
    changes = BalanceChanges(billing)
    assert await changes.of({"ana"}) == {"ana"}
    assert await changes.of({"ana", "bia"}) == {"bia"}
    assert await changes.of(set()) == set()
    assert await changes.of({"ana"}) == {"ana"}


async def test_all_count_after_a_lost_connection(ledger: CoreNats, billing: CountedNats, point: Chokepoint) -> None:
    changes = BalanceChanges(billing)
    await changes.of({"ana", "bia"})
    point.cut()
    await eventually(lambda: not billing.is_connected)
    await say(ledger, "ana")
    assert await changes.of({"ana", "bia", "caio"}) == set()
    point.restore()
    assert await billing.wait_connected(10)
    assert await changes.of({"ana", "bia", "caio"}) == {"ana", "bia", "caio"}
    await say(ledger, "caio")
    await eventually(lambda: billing.heard == 1)
    assert await changes.of({"ana", "bia", "caio"}) == {"caio"}


async def test_what_changes_while_an_account_is_looked_at_has_it_looked_at_again(migrated_url: str) -> None:
    """The look may have asked the ledger before; and whoever else heard of it has done his part."""
    async with contextlib.AsyncExitStack() as closing:
        engine = create_engine(migrated_url, service="billing")
        await closing.enter_async_context(disposed(engine))
        top_up = TopUp(
            account_id="dora",
            payer_id=None,
            package_id="small",
            currency="brl",
            below_tokens=1,
            monthly_cap_minor=7_490,
            paused_for=None,
        )
        await set_top_up(engine, top_up, who="test")
        lease = timedelta(minutes=5)
        assert await claim_due(engine, limit=9, lease=lease) == ["dora"]
        await make_due(engine, ["dora", "nobody"])
        await look_again(engine, "dora", timedelta(hours=1))
        assert await claim_due(engine, limit=9, lease=lease) == ["dora"]
        await look_again(engine, "dora", timedelta(hours=1))
        assert await claim_due(engine, limit=9, lease=lease) == []
