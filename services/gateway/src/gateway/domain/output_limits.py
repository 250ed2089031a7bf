"""How large an answer a body allows, by every name at every depth, and the same body allowing less.

Which of several maxima an upstream takes, and whether it knows a name at all, is not to be known: the largest counts,
budgets of thinking come beside it, and one name that all know must stand in the body.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from contracts.limits import MAX_CHOICES
from msgspec import Struct

from gateway.domain.errors import InvalidRequestError
from gateway.domain.request_fields import (
    FREE_FORM,
    OPTION_BAGS,
    SURE_MAXIMA,
    LimitKind,
    is_about_thinking,
    limit_kind,
    top_limit_kind,
)

MAX_OUTPUT_TOKENS: Final = 10_000_000
"""Above any model's output; a larger maximum is a mistake."""
MAX_NESTED_OPTIONS: Final = 4_096
"""Names inside of options: each is looked up, and all others wait meanwhile."""
_LARGEST: Final = {LimitKind.CHOICES: MAX_CHOICES}


class NestedOption(NamedTuple):
    """A named value somewhere inside of the field `top`; `thinking`: inside of something about thinking."""

    top: str
    name: str
    value: Any
    thinking: bool


class OutputLimits(Struct, frozen=True, kw_only=True):
    """`maximum` is the largest named anywhere, without `thinking_tokens`; None where none is named."""

    maximum: int | None
    thinking_tokens: int
    choices: int


def nested_options(fields: dict[str, Any]) -> Iterator[NestedOption]:
    """Everything that has a name inside of fields that may hold parameters.

    Raises:
        InvalidRequestError: that is more than any request holds.
    """
    number = 0
    for top, content in fields.items():
        if not isinstance(content, (dict, list)) or top in FREE_FORM:
            continue
        level = [(content, is_about_thinking(top))]
        while level:
            inner, thinking = level.pop()
            if isinstance(inner, list):
                level += [(item, thinking) for item in inner if isinstance(item, (dict, list))]
                continue
            number += len(inner)
            if number > MAX_NESTED_OPTIONS:
                raise InvalidRequestError(f"{top[:64]} holds too many options", top[:64])
            for name, value in inner.items():
                yield NestedOption(top, name, value, thinking)
                if isinstance(value, (dict, list)):
                    level.append((value, thinking or is_about_thinking(name)))


def output_limits(fields: dict[str, Any], nested: list[NestedOption]) -> OutputLimits:
    """What the body allows.

    Raises:
        InvalidRequestError: a maximum, budget or number of choices is none.
    """
    maximum: int | None = None
    thinking_tokens, choices = 0, 1
    for kind, number in _numbers(fields, nested):
        if kind is LimitKind.MAXIMUM:
            maximum = number if maximum is None else max(maximum, number)
        elif kind is LimitKind.BUDGET:
            thinking_tokens += number
        else:
            choices = max(choices, number)
    return OutputLimits(maximum=maximum, thinking_tokens=thinking_tokens, choices=choices)


def _numbers(fields: dict[str, Any], nested: list[NestedOption]) -> Iterator[tuple[LimitKind, int]]:
    """Each limit that the body names, at the top and inside of options."""
    for name, value in fields.items():
        kind = top_limit_kind(name)
        if kind is not None and (number := _number(kind, name, value, strict=limit_kind(name) is kind)) is not None:
            yield kind, number
    for top, name, value, thinking in nested:
        kind = _kind_inside(name, thinking=thinking)
        if kind is not None:
            number = _number(kind, f"{top[:64]}.{name}", value, strict=top in OPTION_BAGS)
            if number is not None:
                yield kind, number


def lowered(fields: dict[str, Any], maximum: int, maximum_name: str) -> dict[str, Any]:
    """The fields with no maximum above `maximum`, no budget of thinking, and one maximum that every upstream knows."""
    written = {}
    for name, value in fields.items():
        kind = top_limit_kind(name)
        if kind is LimitKind.MAXIMUM and limit_kind(name) is kind and value is not None:
            written[name] = maximum
        elif name in FREE_FORM:
            written[name] = value
        elif isinstance(value, (dict, list)):
            inner = _lowered_inside(value, maximum, name, thinking=is_about_thinking(name))
            if inner is not None:
                written[name] = inner
        elif (left := _lowered_value(kind, value, maximum)) is not None or value is None:
            written[name] = left
    return with_sure_maximum(written, maximum, maximum_name)


def with_sure_maximum(fields: dict[str, Any], maximum: int, maximum_name: str) -> dict[str, Any]:
    """The fields with a maximum under a name that every upstream takes: theirs, else `maximum` as `maximum_name`."""
    if any(isinstance(fields.get(name), int) for name in SURE_MAXIMA):
        return fields
    return fields | {maximum_name: maximum}


def _lowered_inside(content: Any, maximum: int, name: str, *, thinking: bool) -> Any:
    """The same with less in it; None where nothing of it may stay."""
    if isinstance(content, list):
        items = [
            (item, _lowered_inside(item, maximum, name, thinking=thinking) if isinstance(item, (dict, list)) else item)
            for item in content
        ]
        return [left for item, left in items if left is not None or item is None]
    written = {}
    for key, value in content.items():
        kind = _kind_inside(key, thinking=thinking)
        if isinstance(value, (dict, list)):
            inner = _lowered_inside(value, maximum, key, thinking=thinking or is_about_thinking(key))
            if inner is not None:
                written[key] = inner
        elif (left := _lowered_value(kind, value, maximum)) is not None or value is None:
            written[key] = left
        elif name == "thinking":
            # Thinking without its budget is refused by those who take one.
            return None
    return written


def _lowered_value(kind: LimitKind | None, value: Any, maximum: int) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        return value
    match kind:
        case LimitKind.MAXIMUM:
            return min(value, maximum)
        case LimitKind.BUDGET:
            return None
        case _:
            return value


def _kind_inside(name: str, *, thinking: bool) -> LimitKind | None:
    kind = limit_kind(name)
    return LimitKind.BUDGET if kind is LimitKind.MAXIMUM and thinking else kind


def _number(kind: LimitKind, name: str, value: Any, *, strict: bool) -> int | None:
    """The number under a limit's name; None where nothing is. Not `strict`: the name may mean something else."""
    if value is None or isinstance(value, dict):
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        if strict or _reads_as_number(value):
            raise InvalidRequestError(f"{name[:130]} must be a whole number", name[:130])
        return None
    smallest = 0 if kind is LimitKind.BUDGET else 1
    largest = _LARGEST.get(kind, MAX_OUTPUT_TOKENS)
    if not smallest <= value <= largest:
        raise InvalidRequestError(f"{name[:130]} must be from {smallest:,} to {largest:,}", name[:130])
    return value


def _reads_as_number(value: Any) -> bool:
    """Whether some upstream takes it as a number: a fraction, or digits in quotation marks."""
    return isinstance(value, float) or (isinstance(value, str) and value[:32].strip()[:1] in set("0123456789-+."))
