"""An outage: while a part that every mail needs is away, one mail at a time finds out whether it is back."""

from datetime import timedelta

from notifier.domain.retries import RetryPolicy


class Outage:
    """Of the mail server, or of the ledger. Moments are seconds of a clock that never jumps.

    Without it every mail that waits would knock on a closed door, and be longer away the longer that is closed.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._probes = 0
        self._probe_at = 0.0

    def admit(self, free: int, now: float) -> int:
        """How many of `free` attempts may begin now; during the outage one, and the next after its delay.

        It waits for no attempt to end: one that began before may be held up by its recipient for minutes.
        """
        if not self._probes or not free:
            return free
        if now < self._probe_at:
            return 0
        self._probes += 1
        self._probe_at = now + self._policy.outage_delay_after(self._probes).total_seconds()
        return 1

    def failed(self, now: float) -> timedelta:
        """Note that an attempt found the part away; returns when to try that mail again."""
        if not self._probes:
            self._probes = 1
            self._probe_at = now + self._policy.outage_delay_after(1).total_seconds()
        return timedelta(seconds=max(0.0, self._probe_at - now))

    def answered(self) -> None:
        """Note a sign of life."""
        self._probes, self._probe_at = 0, 0.0
