"""When a mail that could not be sent is tried again, and when that ends."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Seconds; the delay doubles from the first to the longest."""

    first_delay_seconds: float = 5
    longest_delay_seconds: float = 3600
    max_attempts: int = 80
    """5 s doubling up to an hour: the 80th attempt comes after about three days."""
    address_check_seconds: tuple[float, ...] = (5, 15, 40, 120, 300)
    """A profile may arrive after the event, so a missing address is looked up again for eight minutes."""
    state_check_seconds: tuple[float, ...] = (5, 15, 40, 120, 300, 300)
    """For thirteen minutes the ledger is asked what the account is now; then the events are believed."""
    longest_outage_delay_seconds: float = 15
    """One attempt in so many seconds costs a server that is away nothing, and mails go soon after it is back."""

    def delay_after(self, attempts: int) -> timedelta | None:
        """How long to wait after `attempts` failed ones (1 or more); None: give up."""
        return None if attempts >= self.max_attempts else self._doubled(attempts, self.longest_delay_seconds)

    def address_delay_after(self, checks: int) -> timedelta | None:
        """How long to wait after `checks` look-ups (1 or more) found no address; None: the person has none."""
        return _step(self.address_check_seconds, checks)

    def state_delay_after(self, checks: int) -> timedelta | None:
        """How long to wait after the ledger said nothing of the account `checks` times (1 or more); None: no longer."""
        return _step(self.state_check_seconds, checks)

    def outage_delay_after(self, probes: int) -> timedelta:
        """How long to wait after `probes` attempts (1 or more) found that nothing can be sent at all."""
        return self._doubled(probes, self.longest_outage_delay_seconds)

    def _doubled(self, attempts: int, longest_seconds: float) -> timedelta:
        return timedelta(seconds=min(self.first_delay_seconds * 2 ** min(attempts - 1, 40), longest_seconds))


def _step(seconds: tuple[float, ...], number: int) -> timedelta | None:
    return timedelta(seconds=seconds[number - 1]) if number <= len(seconds) else None
