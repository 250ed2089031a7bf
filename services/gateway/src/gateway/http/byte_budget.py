"""Bounds what request bodies take of memory, all calls together, from their first byte until they are sent on."""

import asyncio
from typing import Final

from gateway.metrics import REQUEST_BYTES

SMALL_BYTES: Final = 256 * 1024
RESERVED_SHARE: Final = 8
"""One part in so many is for small bodies alone: whatever large ones do, ordinary chats have room."""
ROOM_SECONDS: Final = 5.0
MAX_WAITING: Final = 64
"""What a waiting body has sent already stands in its connection's buffer, which nobody counts."""


class NoRoomError(Exception):
    """The other bodies left no room for this one in time."""


def limit_with_room_for(size: int) -> int:
    """The least limit under which one large body may take so much."""
    return -(-size * RESERVED_SHARE // (RESERVED_SHARE - 1))


class ByteBudget:
    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._large_limit_bytes = limit_bytes - limit_bytes // RESERVED_SHARE
        self._held_bytes = 0
        self._waiting = 0
        self._freed = asyncio.Event()
        REQUEST_BYTES.set_function(lambda: self._held_bytes)

    def lease(self, announced_bytes: int | None) -> "Lease":
        """Room for a body, of which nothing is held yet: what is announced may never come."""
        small = announced_bytes is not None and announced_bytes <= SMALL_BYTES
        return Lease(self, self._limit_bytes if small else self._large_limit_bytes)

    async def take(self, size: int, limit_bytes: int) -> None:
        """Hold so much more, if all together stay within the limit; else wait a moment for others to end.

        Raises:
            NoRoomError: they did not.
        """
        if self._held_bytes + size > limit_bytes:
            await self._wait_for_room(size, limit_bytes)
        self._held_bytes += size

    def give_back(self, size: int) -> None:
        self._held_bytes -= size
        if self._waiting:
            self._freed.set()
            self._freed = asyncio.Event()

    async def _wait_for_room(self, size: int, limit_bytes: int) -> None:
        if self._waiting >= MAX_WAITING:
            raise NoRoomError
        self._waiting += 1
        try:
            async with asyncio.timeout(ROOM_SECONDS):
                while self._held_bytes + size > limit_bytes:
                    await self._freed.wait()
        except TimeoutError:
            raise NoRoomError from None
        finally:
            self._waiting -= 1


class Lease:
    """What one body holds; it grows with the body."""

    def __init__(self, budget: ByteBudget, limit_bytes: int) -> None:
        self._budget = budget
        self._limit_bytes = limit_bytes
        self._size = 0

    async def grow_to(self, size: int) -> None:
        """Hold `size` bytes in all.

        Raises:
            NoRoomError: there is no room; what is held stays held.
        """
        if size > self._size:
            await self._budget.take(size - self._size, self._limit_bytes)
            self._size = size

    def shrink_by(self, size: int) -> None:
        self._budget.give_back(size)
        self._size -= size

    def release(self) -> None:
        """Give all back; nothing the second time."""
        self.shrink_by(self._size)
