"""Reads behaviours out of a model's name."""

import re
from dataclasses import dataclass, replace
from typing import Final

MAX_NUMBER: Final = 10**9
_REALISTIC_PACE_MS: Final = 25
_REALISTIC_FIRST_TOKEN_MS: Final = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedUsage:
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What one model does; see the package's docstring for the names."""

    pace_ms: int = _REALISTIC_PACE_MS
    first_token_ms: int = _REALISTIC_FIRST_TOKEN_MS
    slow_ms: int = 0
    silent_seconds: int = 0
    words: int = 48
    usage: ReportedUsage | None = None
    tells_usage: bool = True
    cut: bool = False
    error_status: int | None = None
    calls_tools: bool = False
    reasons: bool = False


def behaviour_of(model: str) -> Behaviour:
    """The behaviour that a name asks for; words and numbers that mean nothing are passed over."""
    name, *parts = re.split(r"[-:]", model)
    behaviour = Behaviour()
    if name != "demo":
        return behaviour
    pace_ms: int | None = None
    while parts:
        word = parts.pop(0)
        numbers: list[int] = []
        while parts and parts[0].isascii() and parts[0].isdigit():
            numbers.append(min(int(parts.pop(0)[:12]), MAX_NUMBER))
        if word == "pace" and numbers:
            pace_ms = numbers[0]
        behaviour = _with(behaviour, word, numbers)
    return behaviour if pace_ms is None else replace(behaviour, pace_ms=pace_ms)


def _with(behaviour: Behaviour, word: str, numbers: list[int]) -> Behaviour:
    match word, numbers:
        case "fast", _:
            return replace(behaviour, pace_ms=0, first_token_ms=0)
        case "usage", [prompt, cached, completion, *_]:
            usage = ReportedUsage(prompt_tokens=prompt, cached_tokens=cached, completion_tokens=completion)
            return replace(behaviour, usage=usage, words=completion, pace_ms=0, first_token_ms=0)
        case "words", [count, *_]:
            return replace(behaviour, words=count)
        case "slow", [milliseconds, *_]:
            return replace(behaviour, slow_ms=milliseconds)
        case "silent", [seconds, *_]:
            return replace(behaviour, silent_seconds=seconds)
        case "error", [status, *_] if 400 <= status <= 599:
            return replace(behaviour, error_status=status)
        case "cut", _:
            return replace(behaviour, cut=True)
        case "nousage", _:
            return replace(behaviour, tells_usage=False)
        case "tools", _:
            return replace(behaviour, calls_tools=True)
        case "reasoning", _:
            return replace(behaviour, reasons=True)
        case _:
            return behaviour
