"""Stops a use case for good before or after any one of its steps, as kill -9 does."""

from collections.abc import Awaitable, Callable, Iterator
from types import ModuleType
from typing import Any

import pytest


class CutError(BaseException):
    """Nothing of the use case goes on after this."""


class Cutting:
    """Counts the moments around the named functions of a module, and stops at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType | type, *names: str) -> None:
        self._at: int | None = None
        self._moments = 0
        for name in names:
            monkeypatch.setattr(module, name, self._wrapped(getattr(module, name)))

    def also(self, monkeypatch: pytest.MonkeyPatch, owner: ModuleType | type, *names: str) -> "Cutting":
        for name in names:
            monkeypatch.setattr(owner, name, self._wrapped(getattr(owner, name)))
        return self

    async def cut_at(self, moment: int, act: Callable[[], Awaitable[object]]) -> bool:
        """Act until that moment; False where it was over before."""
        self._at, self._moments = moment, 0
        try:
            await act()
        except CutError:
            return True
        finally:
            self._at = None
        return False

    def _wrapped(self, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def stepping(*values: Any, **named: Any) -> Any:  # Any: whatever the function takes and gives
            self._pass()
            result = await function(*values, **named)
            self._pass()
            return result

        return stepping

    def _pass(self) -> None:
        if self._at is not None and self._moments >= self._at:
            raise CutError
        self._moments += 1


def moments() -> Iterator[int]:
    """One after the other, more than any use case has."""
    return iter(range(200))
