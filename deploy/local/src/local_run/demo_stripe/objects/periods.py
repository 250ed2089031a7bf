"""When a subscription's periods begin and end: on the anchor's day of the month, or the last one of a shorter month."""

import calendar
from datetime import UTC, datetime, timedelta
from typing import Final

_DAYS: Final = {"day": 1, "week": 7}


def period_end(start: int, anchor: int, interval: str, count: int) -> int:
    """The end of the period that begins at `start` (Unix seconds), as billed since `anchor`."""
    begins, anchored = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(anchor, UTC)
    if interval in _DAYS:
        return int((begins + timedelta(days=_DAYS[interval] * count)).timestamp())
    months = begins.year * 12 + begins.month - 1 + count * (12 if interval == "year" else 1)
    year, month = divmod(months, 12)
    day = min(anchored.day, calendar.monthrange(year, month + 1)[1])
    return int(anchored.replace(year=year, month=month + 1, day=day).timestamp())


def unused_minor(amount: int, start: int, end: int, now: int) -> int:
    """The share of an amount for the rest of its period, rounded half up."""
    left = max(0, min(end - now, end - start))
    return (2 * amount * left + (end - start)) // (2 * (end - start))
