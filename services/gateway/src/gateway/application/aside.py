"""A thread beside the event loop for the reading and writing of large bodies, so that all others have their turn."""

import asyncio
import ctypes
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from gateway.domain.body_structure import HARMLESS_BYTES

_M_ARENA_MAX: Final = -8
"""glibc's `malloc.h`."""


class Aside:
    """One thread: it keeps no core from the loop, which waits for the interpreter's lock 5 ms at most.

    That holds for Python code alone. What decodes and encodes keeps the lock: `check_structure` bounds it.
    """

    def __init__(self) -> None:
        _share_one_heap()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="large-bodies")

    async def run[**Parameters, Result](
        self,
        body_bytes: int,
        function: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Call the function, which shares nothing with others: at once for a small body, else in the thread."""
        if body_bytes <= HARMLESS_BYTES:
            return function(*args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(function, *args, **kwargs))


def _share_one_heap() -> None:
    """Else glibc gives the thread a heap of its own, which keeps the room of the last bodies: 24 MB with pictures."""
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(_M_ARENA_MAX, 1)
