"""When what may still be paid is looked at again: the older it is, the later; and when nobody waits for it any more."""

from datetime import timedelta
from typing import Final

SETTLES_WITHIN: Final = timedelta(days=30)
"""A Pix that was issued lives for hours, a boleto for days: whatever is awaited still after that does not come."""
LONGEST_WAIT: Final = timedelta(hours=12)
_SHARE: Final = 24


def wait_at(age: timedelta, *, shortest: timedelta) -> timedelta:
    """How long to wait before the next look: an hour for each day of its age, and half a day at most."""
    return max(shortest, min(age / _SHARE, LONGEST_WAIT))


def is_past_settling(age: timedelta) -> bool:
    """Whether it is so old that what is awaited still does not come any more."""
    return age > SETTLES_WITHIN
