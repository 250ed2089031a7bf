"""The sweep goes on past an order of which Stripe tells nothing, and rests where it tells of none."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from billing.application.looking import OrderLooks
from billing.application.sweeping import MAX_UNANSWERED, Sweeper
from billing.domain.clues import Clues
from billing.domain.look_pace import LONGEST_WAIT, wait_at
from billing.domain.orders import Order
from billing.stripe_api.errors import StripeUnavailableError
from chassis.postgres import create_engine

from tests.unit.billing.story import PAID, look, order

ENGINE = create_engine("postgresql://nobody@127.0.0.1:1/nowhere", service="billing")


@dataclass(frozen=True, kw_only=True)
class Looks(OrderLooks):
    """Those of orders that Stripe tells of, or says nothing of (`silent`)."""

    silent: frozenset[str]
    asked: list[str] = field(default_factory=list)

    async def look_anew(self, order_id: str, *, who: str, clues: Clues | None = None) -> Order:
        self.asked.append(order_id)
        if order_id in self.silent:
            raise StripeUnavailableError("no answer")
        return look(order(), PAID).order


def _sweeper(*silent: str) -> tuple[Sweeper, Looks]:
    looks = Looks(engine=ENGINE, stripe=None, again_after=timedelta(minutes=10), silent=frozenset(silent))
    return Sweeper(engine=ENGINE, looks=looks), looks


async def test_one_order_that_stripe_does_not_tell_of_keeps_no_other_one_waiting() -> None:
    sweeper, looks = _sweeper("ord_1", "ord_2", "ord_4")
    page = [f"ord_{number}" for number in range(1, 7)]
    await sweeper.sweep(page)
    assert looks.asked == page


async def test_a_stripe_that_is_away_is_not_asked_about_every_order() -> None:
    page = [f"ord_{number}" for number in range(50)]
    sweeper, looks = _sweeper(*page)
    with pytest.raises(StripeUnavailableError):
        await sweeper.sweep(page)
    assert len(looks.asked) == MAX_UNANSWERED


def test_an_order_is_looked_at_the_more_rarely_the_older_it_is_and_never_more_rarely_than_twice_a_day() -> None:
    waits = [wait_at(timedelta(hours=hours), shortest=timedelta(minutes=10)) for hours in (0, 4, 24, 72, 24 * 365)]
    assert waits == [timedelta(minutes=10), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=3), LONGEST_WAIT]
