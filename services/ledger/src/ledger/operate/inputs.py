"""What operators type, made values or refused with one clear line."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from contracts.accounts import is_account_id
from contracts.errors import InvalidError
from contracts.limits import MAX_INTEGER, MAX_TEXT_LENGTH, is_clean_text

MAX_REASON_LENGTH: Final = 500
MAX_KEY_LENGTH: Final = 128
MAX_WHO_LENGTH: Final = 320
LEAST_PART: Final = 3
"""Letters that a search needs: people are found by three that stand together."""
MAX_POSITION: Final = 2**63 - 1
FURTHEST: Final = timedelta(days=3660)
"""How far ahead a balance can be asked for; each month on the way is folded."""
_DIGITS: Final = re.compile(r"[0-9]{1,19}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def account_id_of(text: str | None) -> str:
    required = _required(text, "ACCOUNT")
    if not is_account_id(required):
        raise InvalidError("ACCOUNT: an account id is 1 to 128 of the characters A-Z a-z 0-9 . _ : -")
    return required


def tokens_of(text: str | None, *, least: int) -> int:
    return _integer(_required(text, "TOKENS"), "TOKENS", least, MAX_INTEGER)


def reason_of(text: str | None) -> str:
    return _clean(_required(text, "REASON"), "REASON", MAX_REASON_LENGTH)


def key_of(text: str | None) -> str | None:
    """The operator's own idempotency key, if one was given."""
    return _clean(text, "KEY", MAX_KEY_LENGTH) if text else None


def plan_of(text: str | None) -> str:
    return _clean(_required(text, "PLAN"), "PLAN", 64)


def lot_of(text: str | None) -> str:
    return _clean(_required(text, "LOT"), "LOT", MAX_TEXT_LENGTH)


def who_of(text: str | None) -> str:
    """An account id, or a part of a name, an e-mail or the client's own id: three letters at least."""
    who = _clean(_required(text, "WHO").strip(), "WHO", MAX_WHO_LENGTH)
    if len(who) < LEAST_PART and not is_account_id(who):
        raise InvalidError(f"WHO: an account id, or at least {LEAST_PART} letters")
    return who


def is_asked(text: str | None, name: str) -> bool:
    """A switch: 1, or nothing."""
    if text not in {None, "1"}:
        raise InvalidError(f"{name}: 1, or nothing")
    return text == "1"


def positions_of(first: str | None, last: str | None) -> tuple[int, int]:
    """The range asked for, both ends included; the whole log where nothing was."""
    start = _integer(first, "FROM", 0, MAX_POSITION) if first else 1
    end = _integer(last, "TO", 0, MAX_POSITION) if last else MAX_POSITION
    if start > end:
        raise InvalidError("FROM: not after TO")
    return start, end


def dead_letter_number(text: str | None) -> int | None:
    """The number in `ledger:<number>`; None where no id was given."""
    if not text:
        return None
    service, _, number = text.partition(":")
    if service != "ledger" or not _DIGITS.fullmatch(number):
        raise InvalidError("ID: a dead letter of the ledger is named ledger:<number>")
    return _integer(number, "ID", 0, MAX_POSITION)


def dead_letter_to_discard(text: str | None) -> int:
    """One letter, and never all."""
    number = dead_letter_number(_required(text, "ID"))
    assert number is not None, "an id was given"
    return number


def moment_of(text: str, time_zone: str, now: datetime) -> datetime:
    """An ISO 8601 date or time; without an offset it is of `time_zone`, and a date alone is that day's first instant.

    The future shows what time alone would change, up to `FURTHEST` ahead.
    """
    zone = ZoneInfo(time_zone)
    try:
        if _DATE.fullmatch(text):
            local = datetime.combine(date.fromisoformat(text), time.min, zone)
        else:
            local = datetime.fromisoformat(text)
        moment = (local if local.tzinfo is not None else local.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidError("AT: an ISO 8601 time such as 2026-11-20, 2026-11-20T18:30 or 2026-11-20T18:30Z") from None
    if moment > now + FURTHEST:
        raise InvalidError(f"AT: at most {FURTHEST.days} days ahead")
    return moment


def _required(text: str | None, name: str) -> str:
    if not text or not text.strip():
        raise InvalidError(f"{name}=… is needed")
    return text


def _clean(text: str, name: str, max_length: int) -> str:
    if not text.strip():
        raise InvalidError(f"{name}: not blank")
    if not is_clean_text(text, max_length):
        raise InvalidError(f"{name}: at most {max_length} characters of valid text")
    return text


def _integer(text: str, name: str, least: int, largest: int) -> int:
    if not _DIGITS.fullmatch(text) or not least <= int(text) <= largest:
        raise InvalidError(f"{name}: a whole number from {least} to {largest}, in digits alone")
    return int(text)
