"""The one reader of a provider's usage figures: the most exact reading that is left of them, marked where it mended.

Figures in OpenAI's form are taken as they stand. What else providers were seen to send (other names, other places,
numbers as text, fractions, cached tokens beside the prompt, thinking in the total alone) is brought to it.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from contracts.usage import TokenUsage, UsageSource
from msgspec import Struct

_MOST_TOKENS: Final = 100_000_000
"""Far above any model's context; a larger figure is a mistake or a lie."""
_MOST_THINKING_TOKENS: Final = 1_000_000
"""More than that in the total alone is no thinking but a wrong total."""
_CACHE_FIGURES: Final = frozenset({"cache_read_input_tokens", "prompt_cache_hit_tokens", "cache_creation_input_tokens"})
_NUMBER: Final = re.compile(r"\s*\d{1,12}(\.\d{0,12})?\s*").fullmatch


class Figures(Struct, frozen=True, kw_only=True):
    """What could be read. None stands for a side that can't be; `total` is there only when it is all there is."""

    prompt: int | None = None
    completion: int | None = None
    total: int | None = None
    cached: int = 0
    written: int = 0
    reasoning: int = 0
    repaired: bool = False

    def usage(self, prompt_estimate: int, output_tokens: Callable[[], int]) -> tuple[TokenUsage, UsageSource]:
        """The call's usage: a missing side by our own count, a lone total divided at our estimate of the prompt."""
        prompt, completion = self.prompt, self.completion
        source = UsageSource.PROVIDER_REPAIRED if self.repaired else UsageSource.PROVIDER
        if self.total is not None:
            prompt = min(prompt_estimate, self.total)
            completion = self.total - prompt
        elif prompt is None or completion is None:
            source = UsageSource.ESTIMATED
        return (
            TokenUsage(
                prompt_tokens=prompt_estimate if prompt is None else prompt,
                cached_prompt_tokens=self.cached,
                cache_write_tokens=self.written,
                completion_tokens=output_tokens() if completion is None else completion,
                reasoning_tokens=self.reasoning,
            ),
            source,
        )

    @property
    def complete(self) -> bool:
        """Whether no side has to be counted by us."""
        return self.total is not None or (self.prompt is not None and self.completion is not None)


def answer_figures(answer: dict[str, Any]) -> Figures | None:
    """The figures of a decoded answer or chunk, wherever providers put them."""
    if (figures := read_usage(answer.get("usage"))) is not None:
        return figures
    for usage in _other_places(answer):
        if (figures := read_usage(usage, repaired=True)) is not None:
            return figures
    return None


def carries_usage(answer: dict[str, Any]) -> bool:
    """Whether a chunk has a usage object, whatever it says."""
    return isinstance(answer.get("usage"), dict) or any(isinstance(usage, dict) for usage in _other_places(answer))


def _other_places(answer: dict[str, Any]) -> Iterable[Any]:
    choices = answer.get("choices")
    for choice in choices if isinstance(choices, list) else ():  # Moonshot
        if isinstance(choice, dict):
            yield choice.get("usage")
    groq = answer.get("x_groq")
    if isinstance(groq, dict):
        yield groq.get("usage")


def read_usage(usage: Any, *, repaired: bool = False) -> Figures | None:
    """The figures of a `usage` object, or None where nothing in it can be used. An explicit zero is a figure."""
    return _Reader(usage, repaired=repaired).read() if isinstance(usage, dict) else None


class _Reader:
    """Reads one usage object; `repaired` is set by whatever had to be mended."""

    def __init__(self, usage: dict[str, Any], *, repaired: bool) -> None:
        self._usage = usage
        self._repaired = repaired

    def read(self) -> Figures | None:
        prompt = self._either("prompt_tokens", "input_tokens")
        completion = self._either("completion_tokens", "output_tokens")
        total = self._figure(self._usage, "total_tokens")
        if total is not None and completion is None and prompt is not None and prompt <= total:
            completion = total - prompt
        elif total is not None and prompt is None and completion is not None and completion <= total:
            prompt, self._repaired = total - completion, True
        if prompt is None and completion is None:
            return None if total is None else Figures(total=total, repaired=True)
        if prompt is None or completion is None:
            return Figures(prompt=prompt, completion=completion, repaired=True)
        return self._with_parts(prompt, completion, total)

    def _with_parts(self, prompt: int, completion: int, total: int | None) -> Figures:
        """Cached and written tokens are parts of the prompt, reasoning of the completion, and the total is the sum.

        Where they can't be, they were counted beside it: Anthropic's convention for the cache, Gemini's for thinking.
        """
        prompt_details = self._details("prompt_tokens_details", "input_tokens_details")
        completion_details = self._details("completion_tokens_details", "output_tokens_details")
        cached = written = reasoning = 0
        if prompt_details or not _CACHE_FIGURES.isdisjoint(self._usage):
            cached = _largest(
                self._figure(prompt_details, "cached_tokens"),
                self._figure(self._usage, "cache_read_input_tokens"),
                self._figure(self._usage, "prompt_cache_hit_tokens"),
            )
            written = _largest(
                self._figure(self._usage, "cache_creation_input_tokens"),
                self._figure(prompt_details, "cache_creation_tokens"),
                self._figure(prompt_details, "cache_write_tokens"),
            )
        if completion_details:
            reasoning = _largest(self._figure(completion_details, "reasoning_tokens"))
        if cached + written and self._cache_stands_beside(prompt, completion, total, cached + written):
            prompt, self._repaired = prompt + cached + written, True
        elif cached + written > prompt:  # which of them is wrong can't be known: all is charged as plain prompt
            cached, written, self._repaired = 0, 0, True
        rest = 0 if total is None else total - prompt - completion
        if rest > _MOST_THINKING_TOKENS:
            self._repaired = True
        elif rest > 0:
            self._repaired = self._repaired or rest != reasoning
            completion += rest
            reasoning = max(reasoning, rest)
        if reasoning > completion:
            reasoning, self._repaired = completion, True
        return Figures(
            prompt=prompt,
            completion=completion,
            cached=cached,
            written=written,
            reasoning=reasoning,
            repaired=self._repaired,
        )

    def _cache_stands_beside(self, prompt: int, completion: int, total: int | None, cache: int) -> bool:
        if total is not None and total == prompt + completion + cache:
            return True
        if "cache_read_input_tokens" not in self._usage and "cache_creation_input_tokens" not in self._usage:
            return False
        anthropic = "prompt_tokens" not in self._usage and "input_tokens" in self._usage and total is None
        return cache > prompt or anthropic

    def _either(self, name: str, other_name: str) -> int | None:
        figure = self._figure(self._usage, name)
        if figure is None and (figure := self._figure(self._usage, other_name)) is not None:
            self._repaired = True
        return figure

    def _details(self, name: str, other_name: str) -> dict[str, Any]:
        details = self._usage.get(name) or self._usage.get(other_name)
        return details if isinstance(details, dict) else {}

    def _figure(self, fields: dict[str, Any], name: str) -> int | None:
        """A whole number of tokens; text and fractions are mended, and what can't be a number of tokens is none."""
        value = fields.get(name)
        if value is None or (type(value) is int and 0 <= value <= _MOST_TOKENS):
            return value
        if isinstance(value, str) and _NUMBER(value):
            value, self._repaired = float(value), True
        if isinstance(value, float) and math.isfinite(value):
            whole = math.ceil(value)
            self._repaired = self._repaired or whole != value
            value = whole
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_TOKENS:
            self._repaired = True
            return None
        return value


def _largest(*figures: int | None) -> int:
    """The largest figure given: providers repeat one figure under several names, of which some stay zero."""
    largest = 0
    for figure in figures:
        if figure is not None and figure > largest:
            largest = figure
    return largest
