"""What a voucher's code is worth to whom, and until when."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class VoucherRefusal(StrEnum):
    """Why a code gives nothing."""

    MISTYPED = "mistyped"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    USED_UP = "used_up"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    """Said of whatever code, good ones too, where too many of others were tried before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher:
    """A code of a batch: `used` of its `uses` are gone, `per_account` of them one account may have.

    It can be redeemed before `ends_at`; the tokens of each use expire after `expires_days`, counted from that use.
    """

    voucher_id: int
    batch_id: int
    tokens: int
    uses: int
    used: int
    per_account: int
    ends_at: datetime | None
    expires_days: int | None


def refusal_of(voucher: Voucher | None, now: datetime) -> VoucherRefusal | None:
    """Why nobody gets anything for the code any more; None: whoever has not had it yet may."""
    if voucher is None:
        return VoucherRefusal.UNKNOWN
    if voucher.ends_at is not None and now >= voucher.ends_at:
        return VoucherRefusal.EXPIRED
    if voucher.used >= voucher.uses:
        return VoucherRefusal.USED_UP
    return None


def end_of_day(day: date, time_zone: ZoneInfo) -> datetime:
    """The instant at which that local day is over."""
    return datetime.combine(day + timedelta(days=1), time.min, time_zone).astimezone(UTC)


def tokens_expire_at(redeemed_at: datetime, expires_days: int | None, time_zone: ZoneInfo) -> datetime | None:
    """The end of the local day that lies `expires_days` after that of the redemption; None: never."""
    if expires_days is None:
        return None
    return end_of_day(redeemed_at.astimezone(time_zone).date() + timedelta(days=expires_days), time_zone)
