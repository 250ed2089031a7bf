"""How long to wait before the next attempt: twice as long as before the last one, up to a bound."""

import asyncio


class Backoff:
    """The pauses of one loop of attempts."""

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self.seconds = first_seconds
        """How long the next pause is."""

    def reset(self) -> None:
        """An attempt went well."""
        self.seconds = self._first_seconds

    async def pause(self, at_most_seconds: float = float("inf")) -> None:
        """Wait, and longer the next time."""
        seconds = self.seconds
        self.seconds = min(2 * seconds, self._longest_seconds)
        await asyncio.sleep(min(seconds, at_most_seconds))


def pause_after(attempts: int, first_seconds: float, longest_seconds: float) -> float:
    """The pause after so many vain attempts, 1 or more, where no loop but whoever asks counts them."""
    return min(first_seconds * 2.0 ** min(attempts - 1, 60), longest_seconds)
