"""Waits for a condition with a bound, in place of sleeping."""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any, overload

POLL_SECONDS = 0.02


@overload
async def eventually[Value](
    condition: Callable[[], Coroutine[Any, Any, Value | None]], timeout_seconds: float = ..., *, message: str = ...
) -> Value: ...
@overload
async def eventually[Value](
    condition: Callable[[], Value | None], timeout_seconds: float = ..., *, message: str = ...
) -> Value: ...
async def eventually(condition: Callable[[], Any], timeout_seconds: float = 10.0, *, message: str = "") -> Any:
    """The condition's first truthy value; `condition` may be a plain or an async function.

    An AssertionError inside the condition counts as "not yet" and is shown when the time is over.

    Raises:
        AssertionError: it did not come true within the time.
    """
    deadline = time.monotonic() + timeout_seconds
    last: object = None
    while True:
        try:
            result = condition()
            value = await result if inspect.isawaitable(result) else result
            if value:
                return value
            last = value
        except AssertionError as error:
            last = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"{message or 'condition'} not met within {timeout_seconds:g} s; last: {last!r}")
        await asyncio.sleep(POLL_SECONDS)


def eventually_blocking[Value](
    condition: Callable[[], Value | None], timeout_seconds: float = 10.0, *, message: str = ""
) -> Value:
    """`eventually` for tests without an event loop."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        last: object
        try:
            value = condition()
            if value:
                return value
            last = value
        except AssertionError as error:
            last = error
        if time.monotonic() >= deadline:
            raise AssertionError(f"{message or 'condition'} not met within {timeout_seconds:g} s; last: {last!r}")
        time.sleep(POLL_SECONDS)
