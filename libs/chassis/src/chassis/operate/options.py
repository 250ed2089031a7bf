"""Options of verbs: each value that is typed is made what it stands for, or refused in words that say what to type."""

import re
from collections.abc import Callable
from typing import Any, Final

import typer

from chassis.operate.errors import BadInputError

MAX_REASON_LENGTH: Final = 500
_DIGITS: Final = re.compile(r"[0-9]{1,19}")


def option(*names: str, parse: Callable[[str], object], help: str) -> Any:  # noqa: A002  as Typer calls it, who declares Any
    """What Typer is told of `--name=value`; `parse` makes the value, or raises ValueError with what it must be.

    An empty value is one that somebody failed to give: it must not mean all, or none.
    """
    name = variable(names[0])

    def parsed(typed: object) -> object:
        if not isinstance(typed, str):
            return typed  # a default
        if not typed.strip():
            raise BadInputError(f"{name}: not blank")
        try:
            return parse(typed)
        except ValueError as error:
            raise BadInputError(f"{name}: {error}") from None

    return typer.Option(*names, parser=parsed, help=help, metavar=name, show_default=False)


def variable(name: str) -> str:
    """`--account` → `ACCOUNT`, as it is called on make's command line."""
    return name.removeprefix("--").upper()


def text(most: int) -> Callable[[str], str]:
    """Of that many characters, storable everywhere: without NUL, without half a pair of surrogates."""

    def parse(typed: str) -> str:
        if len(typed) > most or "\x00" in typed or any("\ud800" <= char <= "\udfff" for char in typed):
            raise ValueError(f"at most {most} characters of valid text")
        return typed

    return parse


def whole_number(least: int, largest: int) -> Callable[[str], int]:
    """Digits, and nothing that Python would read as a number besides."""

    def parse(typed: str) -> int:
        if not _DIGITS.fullmatch(typed) or not least <= int(typed) <= largest:
            raise ValueError(f"a whole number from {least} to {largest}, in digits alone")
        return int(typed)

    return parse


def switch(typed: str) -> str:
    """`1`; who wants it off does not give it."""
    if typed != "1":
        raise ValueError("1, or nothing")
    return typed
