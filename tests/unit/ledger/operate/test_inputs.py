"""What operators type becomes a value or one clear line."""

from datetime import UTC, datetime, timedelta

import pytest
from contracts.errors import InvalidError
from ledger.operate.inputs import dead_letter_number, moment_of, positions_of, tokens_of

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
    with pytest.raises(InvalidError, match="AT"):
        moment_of(text, SAO_PAULO, NOW)


def test_moments_are_bounded_ahead() -> None:
    assert moment_of((NOW + timedelta(days=3_000)).isoformat(), SAO_PAULO, NOW) > NOW
    with pytest.raises(InvalidError, match="ahead"):
        moment_of((NOW + timedelta(days=4_000)).isoformat(), SAO_PAULO, NOW)


def test_the_whole_log_is_the_default_range() -> None:
    assert positions_of(None, None) == (1, 2**63 - 1)
    assert positions_of("5", "5") == (5, 5)


@pytest.mark.parametrize(("first", "last"), [("6", "5"), ("-1", None), ("a", None), (None, "9" * 30)])
def test_absurd_ranges_are_refused(first: str | None, last: str | None) -> None:
    with pytest.raises(InvalidError):
        positions_of(first, last)


def test_a_limit_may_be_zero_and_a_credit_may_not() -> None:
    assert tokens_of("0", least=0) == 0
    with pytest.raises(InvalidError, match="TOKENS"):
        tokens_of("0", least=1)


def test_dead_letters_are_named_by_service_and_number() -> None:
    assert dead_letter_number("ledger:12") == 12
    assert dead_letter_number(None) is None
    for text in ("12", "ledger:", "ledger:x", "notifier:1", "ledger:1:2"):
        with pytest.raises(InvalidError):
            dead_letter_number(text)
