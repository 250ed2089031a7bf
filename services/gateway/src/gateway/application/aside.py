"""A thread beside the event loop for the reading and writing of large bodies, so that all others have their turn."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from gateway.domain.body_structure import HARMLESS_BYTES


class Aside:
    """One thread: it keeps no core from the loop, which waits for the interpreter's lock 5 ms at most.

    That holds for Python code alone. What decodes and encodes keeps the lock: `check_structure` bounds it.
    """

    def __init__(self) -> None:
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
