"""Bounds what request bodies take of memory, all calls together, from their first byte until they are sent on."""

import asyncio
from typing import Final

from gateway.domain.body_memory import RESERVED_SHARE
from gateway.metrics import REQUEST_BYTES

SMALL_BYTES: Final = 256 * 1024
ROOM_SECONDS: Final = 5.0
MAX_WAITING: Final = 64
"""What a waiting body has sent already stands in its connection's buffer, which nobody counts."""


class NoRoomError(Exception):
    """The other bodies left no room for this one in time."""


class ByteBudget:
    """Bodies hold what has come while they wait for what they still need, so they could block each other for good.

    Hence whichever waited first alone may take all that is left: the others leave it room for `largest_bytes`.
    A body that is whole gives its room back by itself.
    """

    def __init__(self, limit_bytes: int, largest_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._large_limit_bytes = limit_bytes - limit_bytes // RESERVED_SHARE
        self._arrival_limit_bytes = self._large_limit_bytes - largest_bytes
        self._held_bytes = 0
        self._arriving_bytes = 0
        self._queue: dict[Lease, None] = {}
        self._freed = asyncio.Event()
        REQUEST_BYTES.set_function(lambda: self._held_bytes)

    def lease(self, announced_bytes: int | None) -> "Lease":
        """Room for a body, of which nothing is held yet: what is announced may never come."""
        return Lease(self, small=announced_bytes is not None and announced_bytes <= SMALL_BYTES)

    async def take(self, lease: "Lease", size: int, *, whole: bool) -> None:
        """Hold so much more for the lease, if there is room; else wait as long as those before it go on.

        Raises:
            NoRoomError: they did not.
        """
        if not self._fits(lease, size, whole=whole):
            await self._wait_for_room(lease, size, whole=whole)
        self._held_bytes += size
        if not lease.small:
            self._arriving_bytes += size

    def give_back(self, size: int) -> None:
        self._held_bytes -= size
        self._wake()

    def stop_arriving(self, lease: "Lease", size: int) -> None:
        """The lease's body is whole or gone."""
        if not lease.small:
            self._arriving_bytes -= size
        self._queue.pop(lease, None)
        self._wake()

    @property
    def _first(self) -> "Lease | None":
        return next((lease for lease in self._queue if not lease.small), None)

    def _wake(self) -> None:
        if self._queue:
            self._freed.set()
            self._freed = asyncio.Event()

    def _fits(self, lease: "Lease", size: int, *, whole: bool) -> bool:
        if lease.small:
            return self._held_bytes + size <= self._limit_bytes
        if self._held_bytes + size > self._large_limit_bytes:
            return False
        first = self._first
        if whole or lease is first:
            return True
        others = self._arriving_bytes - (first.size if first is not None else 0)
        return others + size <= self._arrival_limit_bytes

    async def _wait_for_room(self, lease: "Lease", size: int, *, whole: bool) -> None:
        if lease not in self._queue and len(self._queue) >= MAX_WAITING:
            raise NoRoomError
        self._queue.setdefault(lease)
        loop = asyncio.get_running_loop()
        first = self._first
        try:
            async with asyncio.timeout(ROOM_SECONDS) as timeout:
                while not self._fits(lease, size, whole=whole):
                    await self._freed.wait()
                    if first is not (first := self._first):
                        timeout.reschedule(loop.time() + ROOM_SECONDS)
        except TimeoutError:
            raise NoRoomError from None


class Lease:
    """What one body holds; it grows with the body."""

    def __init__(self, budget: ByteBudget, *, small: bool) -> None:
        self._budget = budget
        self._arriving = True
        self.small = small
        self.size = 0

    async def grow_to(self, size: int, *, whole: bool) -> None:
        """Hold `size` bytes in all; the last time for a body that is `whole`.

        Raises:
            NoRoomError: there is no room; what is held stays held.
        """
        if size > self.size:
            await self._budget.take(self, size - self.size, whole=whole)
            self.size = size
        if whole:
            self._stop_arriving()

    def shrink_by(self, size: int) -> None:
        self.size -= size
        self._budget.give_back(size)

    def shrink_to(self, size: int) -> None:
        """Hold no more than `size` bytes in all."""
        self.shrink_by(max(0, self.size - size))

    def release(self) -> None:
        """Give all back; nothing the second time."""
        self._stop_arriving()
        self.shrink_by(self.size)

    def _stop_arriving(self) -> None:
        if self._arriving:
            self._arriving = False
            self._budget.stop_arriving(self, self.size)
