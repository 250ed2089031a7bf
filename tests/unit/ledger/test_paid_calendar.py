"""Periods of a payment service and cycles of an account: one counts from moment to moment, the other by local days."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from contracts.events.accounts import CycleStarted
from ledger.domain.commands import SubscribePlan
from local_run.demo_stripe.objects.periods import period_end
from msgspec.structs import replace

from tests.unit.ledger.story import POLICY, Story, ended, opened, subscribed, used

NEW_YORK, SAO_PAULO, TOKYO = "America/New_York", "America/Sao_Paulo", "Asia/Tokyo"


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


def months(first: datetime, count: int) -> list[datetime]:
    """Where months that are billed begin, as the demo Stripe bills them."""
    seconds = [int(first.timestamp())]
    while len(seconds) < count:
        seconds.append(period_end(seconds[-1], seconds[0], "month", 1))
    return [datetime.fromtimestamp(each, UTC) for each in seconds]


def paid(first: datetime, zone: str) -> Story:
    story = Story(replace(POLICY, time_zone=zone)).at(first - timedelta(days=5)).given(opened()).at(first)
    return story.given(period_of("premium", 1, *months(first, 2)), *used("r1", 20_000))


def period_of(plan: str, revision: int, starts_at: datetime, ends_at: datetime) -> SubscribePlan:
    return replace(subscribed(plan, revision, period=starts_at), period_ends_at=ends_at)


@pytest.mark.parametrize(
    ("zone", "first", "turns"),
    [
        (NEW_YORK, "2026-02-10T04:30", "2026-03-09T04:00"),  # an hour more than a day before: summer time began
        (NEW_YORK, "2026-10-10T03:30", "2026-11-09T05:00"),
        (SAO_PAULO, "2026-03-01T02:00", "2026-03-28T03:00"),  # the last of February there, four days before
        (SAO_PAULO, "2028-03-01T02:00", "2028-03-29T03:00"),  # of a leap year
        (SAO_PAULO, "2026-01-31T02:00", "2026-02-28T03:00"),  # after the period's end, as the 30th is there
        (TOKYO, "2026-01-30T20:00", "2026-02-27T15:00"),
        (TOKYO, "2026-01-31T12:00", "2026-02-27T15:00"),
        ("UTC", "2028-01-31T12:00", "2028-02-29T00:00"),
    ],
)
def test_what_is_used_of_a_cycle_that_turned_before_its_payment_is_owed_where_none_comes(
    zone: str, first: str, turns: str
) -> None:
    """Else who cancels has the last days of a period with a second allowance."""
    story = paid(at(first), zone).at(at(turns)).given(*used("r2", 18_000))
    assert story.balance.cycle.starts_at == at(turns)
    story.given(ended())
    assert (story.balance.plan, story.balance.debt) == ("basic", 8_000)


@pytest.mark.parametrize("zone", [NEW_YORK, SAO_PAULO, TOKYO, "UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("first", ["2026-01-31T02:30", "2026-03-08T06:59", "2027-12-30T23:59", "2028-02-29T12:00"])
def test_five_years_of_renewals_are_as_many_allowances_as_payments_and_end_without_a_debt(
    zone: str, first: str
) -> None:
    begins = months(at(first), 62)
    story = paid(begins[0], zone)
    for number, (starts_at, ends_at) in enumerate(pairwise(begins[1:]), start=2):
        story.at(starts_at).given(period_of("premium", number, starts_at, ends_at))
    story.after(days=2)
    story.given(*used("last", 20_000), ended(len(begins)))
    assert (story.balance.plan, story.balance.debt) == ("basic", 0)
    assert len(story.logged(CycleStarted)) == len(begins) - 1
