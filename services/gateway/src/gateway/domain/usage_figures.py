"""The provider's usage figures, brought to OpenAI's convention; figures that can't be true count as none."""

from typing import Any, Final

from contracts.usage import TokenUsage

_MOST_TOKENS: Final = 100_000_000
"""Far above any model's context; a larger figure is a mistake or a lie."""


class _ImplausibleError(Exception):
    pass


def read_usage(usage: Any) -> TokenUsage | None:
    """The figures of a `usage` object, or None where it is absent, incomplete or absurd. An explicit zero is a figure.

    Cached and written tokens are parts of the prompt, reasoning is part of the completion; a provider that counts
    its reasoning beside the completion is recognised by its total.
    """
    if not isinstance(usage, dict):
        return None
    try:
        return _read(usage)
    except _ImplausibleError:
        return None


def _read(usage: dict[str, Any]) -> TokenUsage | None:
    prompt, total = _figure(usage, "prompt_tokens"), _figure(usage, "total_tokens")
    completion = _figure(usage, "completion_tokens")
    if completion is None and prompt is not None and total is not None:
        completion = total - prompt
    if prompt is None or completion is None or completion < 0:
        return None
    prompt_details = _details(usage, "prompt_tokens_details")
    cached = _largest(
        _figure(prompt_details, "cached_tokens"),
        _figure(usage, "cache_read_input_tokens"),
        _figure(usage, "prompt_cache_hit_tokens"),
    )
    written = _largest(
        _figure(usage, "cache_creation_input_tokens"),
        _figure(prompt_details, "cache_creation_tokens"),
        _figure(prompt_details, "cache_write_tokens"),
    )
    reasoning = _largest(_figure(_details(usage, "completion_tokens_details"), "reasoning_tokens"))
    if reasoning and total == prompt + completion + reasoning:
        completion += reasoning
    if cached + written > prompt or reasoning > completion:
        return None
    return TokenUsage(
        prompt_tokens=prompt,
        cached_prompt_tokens=cached,
        cache_write_tokens=written,
        completion_tokens=completion,
        reasoning_tokens=reasoning,
    )


def _details(usage: dict[str, Any], name: str) -> dict[str, Any]:
    details = usage.get(name)
    return details if isinstance(details, dict) else {}


def _figure(usage: dict[str, Any], name: str) -> int | None:
    value = usage.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_TOKENS:
        raise _ImplausibleError
    return value


def _largest(*figures: int | None) -> int:
    """The largest figure given: providers repeat one figure under several names, of which some stay zero."""
    return max((figure for figure in figures if figure is not None), default=0)
