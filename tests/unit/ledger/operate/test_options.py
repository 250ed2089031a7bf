"""What operators type becomes a value or one clear line."""

from datetime import UTC, datetime, timedelta

import pytest
from chassis.operate.errors import BadInputError
from ledger.operate.options import check_range, moment_of

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SAO_PAULO = "America/Sao_Paulo"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20", datetime(2026, 11, 20, 3, tzinfo=UTC)),
        ("2026-11-20T10:00", datetime(2026, 11, 20, 13, tzinfo=UTC)),
        ("2026-11-20 10:00:00.5", datetime(2026, 11, 20, 13, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-11-20T10:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00+05:30", datetime(2026, 11, 20, 4, 30, tzinfo=UTC)),
        # Brazil's summer time began at midnight of that day: the day's first instant is 01:00 local.
        ("2018-11-04", datetime(2018, 11, 4, 3, tzinfo=UTC)),
    ],
)
def test_moments_are_read_with_any_offset_and_in_the_configured_zone_without_one(text: str, moment: datetime) -> None:
    assert moment_of(text, SAO_PAULO, NOW) == moment


@pytest.mark.parametrize("text", ["", "now", "20.11.2026", "2026-02-30", "2026-11-20T25:00", "0001-01-01T00:00+23:00"])
def test_nonsense_is_no_moment(text: str) -> None:
    with pytest.raises(BadInputError, match="AT"):
        moment_of(text, SAO_PAULO, NOW)


def test_moments_are_bounded_ahead() -> None:
    assert moment_of((NOW + timedelta(days=3_000)).isoformat(), SAO_PAULO, NOW) > NOW
    with pytest.raises(BadInputError, match="ahead"):
        moment_of((NOW + timedelta(days=4_000)).isoformat(), SAO_PAULO, NOW)


def test_a_range_may_be_one_position_and_not_less() -> None:
    check_range(5, 5)
    with pytest.raises(BadInputError, match="FROM"):
        check_range(6, 5)
