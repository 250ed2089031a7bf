"""How long to wait before the next attempt: twice as long as before the last one, up to a bound."""

import asyncio


def pause_after(attempts: int, first_seconds: float, longest_seconds: float) -> float:
    """The pause after so many vain attempts, 1 or more."""
    return min(first_seconds * 2.0 ** min(attempts - 1, 60), longest_seconds)


class Backoff:
    """The pauses of one loop, which counts its attempts by them."""

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self._attempts = 1

    @property
    def seconds(self) -> float:
        """How long the next pause is."""
        return pause_after(self._attempts, self._first_seconds, self._longest_seconds)

    def reset(self) -> None:
        """An attempt went well."""
        self._attempts = 1

    async def pause(self, at_most_seconds: float = float("inf")) -> None:
        """Wait, and longer the next time."""
        seconds = min(self.seconds, at_most_seconds)
        self._attempts += 1
        await asyncio.sleep(seconds)
