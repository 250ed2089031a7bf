"""A seed is a company: the same people and the same life every time, but for ids."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from billing.application.offers import load_offers, load_plans
from billing.domain.entitlement import PlanRules
from company.life import Life, Lived
from company.names import FIRST, LAST, plain
from company.people import HEADCOUNT, Person, hire
from company.shopping import Shop
from ledger.catalog_file import load_policy
from ledger.settings import LedgerSettings

CATALOG = Path(__file__).parents[3] / "deploy" / "catalog.toml"
NOW = datetime(2026, 11, 26, 17, 30, tzinfo=UTC)
ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f-]{27}")


async def _live(person: Person, catalog: Path = CATALOG) -> Lived:
    rules = PlanRules(monthly_tokens=load_plans(catalog)[1], grace=timedelta(days=3))
    shop = Shop(offers=load_offers(catalog), rules=rules, voucher_digest=b"x")
    policy = load_policy(LedgerSettings(database_url="postgresql://h/d", catalog=catalog))
    return Life(policy, shop, person, NOW).live()


def _told(lived: Lived) -> Sequence[object]:
    events = [(event.type, event.recorded_at, ID.sub(b"", event.data)) for event in lived.changes.events]
    return [*events, *(order.order for order in lived.orders), *(each.subscription for each in lived.subscriptions)]


async def test_a_seed_makes_the_same_company_again() -> None:
    for person in hire(3)[:12]:
        assert _told(await _live(person)) == _told(await _live(person))
    assert {person.account_id for person in hire(3)} & {person.account_id for person in hire(4)} == set()
    assert [person.plan for person in hire(3)] != [person.plan for person in hire(4)]


async def test_its_people_are_told_apart() -> None:
    people = hire(1)
    assert len({person.account_id for person in people}) == len({person.email for person in people}) == HEADCOUNT
    assert len({plain(name) for name in FIRST}) == len(FIRST)
    assert len({plain(name) for name in LAST}) == len(LAST)


async def test_nothing_happens_before_an_account_is_opened_nor_after_now() -> None:
    for person in hire(2)[:100:2]:
        lived = await _live(person)
        times = [event.recorded_at for event in lived.changes.events]
        assert times == sorted(times)
        assert times[0] == NOW - timedelta(days=person.opened_days_ago)
        assert times[-1] < NOW
        happened = [at for order in lived.orders for at, _ in order.changes]
        happened += [at for subscription in lived.subscriptions for at, _ in subscription.changes]
        assert all(times[0] < at < NOW for at in happened)
        assert all(order.order.version == 1 + len({at for at, _ in order.changes[1:]}) for order in lived.orders)


async def test_a_catalog_of_one_plan_and_no_package_makes_a_company_that_buys_nothing(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.toml"
    catalog.write_text('version = "1"\n[plans.basic]\nmonthly_tokens = 100_000\n')
    lived = [await _live(person, catalog) for person in hire(1)[:90:3]]
    assert {order.order.kind.value for each in lived for order in each.orders} <= {"voucher"}
    assert sum(len(each.changes.events) for each in lived) > 100
