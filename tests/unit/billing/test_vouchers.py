"""A code's last day and the expiry of its tokens are two things, both of local days."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from billing.domain.vouchers import Voucher, VoucherRefusal, end_of_day, refusal_of, tokens_expire_at

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
GOOD = Voucher(voucher_id=1, batch_id=1, tokens=5, uses=2, used=1, per_account=1, ends_at=None, expires_days=None)


@pytest.mark.parametrize(
    ("voucher", "refusal"),
    [
        (None, VoucherRefusal.UNKNOWN),
        (GOOD, None),
        (replace(GOOD, used=2), VoucherRefusal.USED_UP),
        (replace(GOOD, ends_at=NOW), VoucherRefusal.EXPIRED),
        (replace(GOOD, ends_at=NOW + timedelta(seconds=1)), None),
        (replace(GOOD, used=2, ends_at=NOW), VoucherRefusal.EXPIRED),
    ],
)
def test_a_code_is_worth_something_until_it_ends_or_is_used_up(
    voucher: Voucher | None, refusal: VoucherRefusal | None
) -> None:
    assert refusal_of(voucher, NOW) is refusal


def test_the_last_day_of_a_code_is_whole() -> None:
    assert end_of_day(date(2026, 12, 31), SAO_PAULO) == datetime(2027, 1, 1, 3, tzinfo=UTC)


def test_tokens_expire_at_the_end_of_a_local_day() -> None:
    late = datetime(2026, 11, 27, 2, 59, tzinfo=UTC)  # still the 26th in São Paulo
    assert tokens_expire_at(late, 30, SAO_PAULO) == datetime(2026, 12, 27, 3, tzinfo=UTC)
    assert tokens_expire_at(late, None, SAO_PAULO) is None
