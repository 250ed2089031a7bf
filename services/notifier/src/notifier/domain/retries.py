"""When a mail that could not be sent is tried again, and when that ends."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

FIRST_DELAY_SECONDS: Final = 5
LONGEST_DELAY_SECONDS: Final = 3600
MAX_ATTEMPTS: Final = 80
"""5 s doubling up to an hour: the 80th attempt comes after about three days."""

ADDRESS_CHECK_SECONDS: Final = (5, 15, 40, 120, 300)
"""A profile may arrive after the event, so a missing address is looked up again for eight minutes."""

STATE_CHECK_SECONDS: Final = (5, 15, 40, 120, 300, 300)
"""For thirteen minutes the ledger is asked what the account is now; then the events are believed."""

LONGEST_OUTAGE_DELAY_SECONDS: Final = 15
"""One attempt in so many seconds costs a server that is away nothing, and mails go soon after it is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Seconds; the delay doubles from the first to the longest."""

    first_delay_seconds: float = FIRST_DELAY_SECONDS
    longest_delay_seconds: float = LONGEST_DELAY_SECONDS
    max_attempts: int = MAX_ATTEMPTS
    address_check_seconds: tuple[float, ...] = ADDRESS_CHECK_SECONDS
    state_check_seconds: tuple[float, ...] = STATE_CHECK_SECONDS
    longest_outage_delay_seconds: float = LONGEST_OUTAGE_DELAY_SECONDS

    def delay_after(self, attempts: int) -> timedelta | None:
        """How long to wait after `attempts` failed ones (1 or more); None: give up."""
        if attempts >= self.max_attempts:
            return None
        doublings = min(attempts - 1, 40)
        return timedelta(seconds=min(self.first_delay_seconds * 2**doublings, self.longest_delay_seconds))

    def address_delay_after(self, checks: int) -> timedelta | None:
        """How long to wait after `checks` look-ups (1 or more) found no address; None: the person has none."""
        return _step(self.address_check_seconds, checks)

    def state_delay_after(self, checks: int) -> timedelta | None:
        """How long to wait after the ledger said nothing of the account `checks` times (1 or more); None: no longer."""
        return _step(self.state_check_seconds, checks)

    def outage_delay_after(self, probes: int) -> timedelta:
        """How long to wait after `probes` attempts (1 or more) found that nothing can be sent at all."""
        seconds = self.first_delay_seconds * 2 ** min(probes - 1, 40)
        return timedelta(seconds=min(seconds, self.longest_outage_delay_seconds))


def _step(seconds: tuple[float, ...], number: int) -> timedelta | None:
    return timedelta(seconds=seconds[number - 1]) if number <= len(seconds) else None
