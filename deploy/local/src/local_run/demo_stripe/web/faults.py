"""What goes wrong with the next requests, as somebody told the demo."""

from dataclasses import dataclass
from typing import Final

from local_run.demo_stripe.wire.errors import RefusedError

MODES: Final = ("none", "slow", "down", "lost")
MAX_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    wait_seconds: float = 0.0
    lost: bool = False


class Faults:
    """`slow` answers after some time, `down` does nothing and answers 503, `lost` does it and answers 500.

    Only requests of the method `only`, where one is named, and only the next `times`.
    """

    def __init__(self) -> None:
        self.mode = "none"
        self.times = 0
        self.seconds = 0.0
        self.only: str | None = None

    def tell(self, mode: str, *, times: int, seconds: float, only: str | None) -> None:
        self.mode, self.times, self.seconds, self.only = mode, times, seconds, only

    def next_of(self, method: str) -> Fault:
        """
        Raises:
            RefusedError: it is down.
        """
        if self.mode == "none" or self.times < 1 or self.only not in (None, method):
            return Fault()
        self.times -= 1
        if self.mode == "down":
            raise RefusedError("The demo was told to be down.", status=503, kind="api_error")
        return Fault(wait_seconds=self.seconds if self.mode == "slow" else 0.0, lost=self.mode == "lost")
