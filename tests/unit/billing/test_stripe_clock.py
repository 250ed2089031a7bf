"""Where our clock and Stripe's differ, the earlier one counts: nothing ends before its time."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import stripe
from billing.stripe_api import clock
from billing.stripe_api.clock import StripeClock
from prometheus_client import REGISTRY

OURS = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def standing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "our_time", lambda: OURS)


def answer(told: datetime | str | None) -> stripe.StripeObject:
    text = format_datetime(told, usegmt=True) if isinstance(told, datetime) else told
    headers = {} if text is None else {"date": text}
    return stripe.StripeObject(last_response=stripe.StripeResponse("{}", 200, headers))


@pytest.mark.parametrize(
    ("ours_ahead", "counts"),
    [
        (timedelta(0), OURS),
        (timedelta(seconds=20), OURS),
        (timedelta(minutes=5), OURS - timedelta(minutes=5)),
        (timedelta(days=2), OURS - timedelta(days=2)),
        (timedelta(minutes=-5), OURS),
        (timedelta(days=-2), OURS),
    ],
)
async def test_the_earlier_of_two_clocks_counts(ours_ahead: timedelta, counts: datetime) -> None:
    heard = StripeClock()
    heard.hear(answer(OURS - ours_ahead))
    assert heard.now() == counts


async def test_a_clock_that_was_put_right_counts_again() -> None:
    heard = StripeClock()
    heard.hear(answer(OURS - timedelta(days=2)))
    assert REGISTRY.get_sample_value("solaris_billing_clock_skew_seconds") == 2 * 86_400
    heard.hear(answer(OURS))
    assert heard.now() == OURS
    assert REGISTRY.get_sample_value("solaris_billing_clock_skew_seconds") == 0


@pytest.mark.parametrize("told", [None, "", "yesterday", "Thu, 19 Nov 2026 12:00:00 -0000"])
async def test_what_is_no_moment_changes_nothing(told: str | None) -> None:
    heard = StripeClock()
    heard.hear(answer(told))
    assert heard.now() == OURS
