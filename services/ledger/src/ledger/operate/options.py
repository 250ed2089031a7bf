"""The options of the ledger's verbs."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from chassis.operate.errors import BadInputError
from chassis.operate.options import MAX_REASON_LENGTH, option, switch, text, whole_number
from contracts.accounts import checked_account_id
from contracts.limits import MAX_INTEGER, MAX_TEXT_LENGTH

from ledger.store.log import MAX_POSITION

MAX_KEY_LENGTH: Final = 128
MAX_PLAN_LENGTH: Final = 64
FURTHEST: Final = timedelta(days=3660)
"""How far ahead a balance can be asked for; each month on the way is folded."""
_AGE: Final = re.compile(r"([0-9]{1,5})([smhd])")
_UNITS: Final = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_ACCOUNT: Final = option("--account", parse=checked_account_id, help="account id")
_PLAN: Final = option("--plan", "--name", parse=text(MAX_PLAN_LENGTH), help="name of a plan")
_REASON: Final = option("--reason", parse=text(MAX_REASON_LENGTH), help="kept in the audit, never in an event")

Account = Annotated[str, _ACCOUNT]
AccountOrAll = Annotated[str | None, _ACCOUNT]
Plan = Annotated[str, _PLAN]
PlanOrAll = Annotated[str | None, _PLAN]
Reason = Annotated[str, _REASON]
ReasonOrNone = Annotated[str | None, _REASON]
Tokens = Annotated[int, option("--tokens", parse=whole_number(1, MAX_INTEGER), help="billable tokens")]
TokensOrZero = Annotated[int, option("--tokens", parse=whole_number(0, MAX_INTEGER), help="billable tokens")]
Key = Annotated[str | None, option("--key", parse=text(MAX_KEY_LENGTH), help="idempotency key")]
At = Annotated[str | None, option("--at", parse=str, help="ISO 8601 date or time")]
First = Annotated[int, option("--from", parse=whole_number(0, MAX_POSITION), help="first position")]
Last = Annotated[int, option("--to", parse=whole_number(0, MAX_POSITION), help="last position")]
Lot = Annotated[str, option("--lot", parse=text(MAX_TEXT_LENGTH), help="id of a grant of credits")]
New = Annotated[str | None, option("--new", parse=switch, help="1 opens an account that does not exist yet")]
Show = Annotated[str | None, option("--show", parse=switch, help="1 shows what would be done, and does nothing")]
Custom = Annotated[str | None, option("--custom", parse=switch, help="1 changes limits of an account's own too")]


def day(typed: str) -> date:
    """A day of the calendar, of this millennium."""
    try:
        found = date.fromisoformat(typed) if _DATE.fullmatch(typed) else None
    except ValueError:
        found = None
    if found is None or not 2000 <= found.year <= 2999:
        raise ValueError("a day such as 2026-12-31")
    return found


def age(typed: str) -> timedelta:
    """So many seconds, minutes, hours or days."""
    found = _AGE.fullmatch(typed)
    if found is None or not int(found[1]):
        raise ValueError("an age such as 90s, 15m, 6h or 30d")
    return int(found[1]) * _UNITS[found[2]]


def one_of[Word: StrEnum](words: type[Word]) -> Callable[[str], Word]:
    def parse(typed: str) -> Word:
        if typed not in list(words):
            raise ValueError(f"one of {', '.join(words)}")
        return words(typed)

    return parse


def check_range(first: int, last: int) -> None:
    if first > last:
        raise BadInputError("FROM: not after TO")


def moment_of(typed: str, time_zone: str, now: datetime) -> datetime:
    """An ISO 8601 date or time; without an offset it is of `time_zone`, and a date alone is that day's first instant.

    The future shows what time alone would change, up to `FURTHEST` ahead.
    """
    zone = ZoneInfo(time_zone)
    try:
        if _DATE.fullmatch(typed):
            local = datetime.combine(date.fromisoformat(typed), time.min, zone)
        else:
            local = datetime.fromisoformat(typed)
        moment = (local if local.tzinfo is not None else local.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInputError("AT: an ISO 8601 time such as 2026-11-20, 2026-11-20T18:30 or 2026-11-20T18:30Z") from None
    if moment > now + FURTHEST:
        raise BadInputError(f"AT: at most {FURTHEST.days} days ahead")
    return moment
