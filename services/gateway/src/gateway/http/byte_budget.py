"""Bounds what request bodies take of memory, all calls together, from their first byte until they are sent on."""

from typing import Final

from gateway.metrics import REQUEST_BYTES

SMALL_BYTES: Final = 64 * 1024
"""Bodies up to this size always have room: as many as calls may be open take little together."""


class ByteBudget:
    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        REQUEST_BYTES.set_function(lambda: self._held_bytes)

    def take(self, size: int) -> "Lease | None":
        """Room for a body of that size; None where there is too little. A small one always has room, and one alone."""
        if size > SMALL_BYTES and self._held_bytes and self._held_bytes + size > self._limit_bytes:
            return None
        self._held_bytes += size
        return Lease(self, size)

    def give_back(self, size: int) -> None:
        self._held_bytes -= size


class Lease:
    """Given back once, however often it is asked to."""

    def __init__(self, budget: ByteBudget, size: int) -> None:
        self._budget = budget
        self._size = size

    def release(self) -> None:
        self._budget.give_back(self._size)
        self._size = 0
