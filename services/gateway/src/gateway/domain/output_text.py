"""What a model produced, found in chunks and answers: its text, for the case that no usage comes, and whether any."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

_TEXT_FIELDS: Final = ("content", "reasoning_content", "reasoning", "refusal")
TEXT_NAMES: Final = frozenset({*_TEXT_FIELDS, "text", "arguments"})
"""The names under which text stands, wherever in an answer."""
_NOT_PRODUCED: Final = frozenset({"role", "provider_specific_fields"})
_EMPTY: Final[tuple[object, ...]] = (None, "", [], {})


def output_texts(answer: Any) -> Iterator[str]:
    """The produced texts of one decoded chunk or whole answer; nothing for what has another shape."""
    for choice in _choices(answer):
        message = choice.get("delta") or choice.get("message")
        if isinstance(message, dict):
            yield from _message_texts(message)
        elif isinstance(choice.get("text"), str):
            yield choice["text"]


def produces_anything(answer: Any) -> bool:
    """Whether a chunk or answer holds anything of a model's: text, a tool's call, a picture, sound."""
    for choice in _choices(answer):
        message = choice.get("delta") or choice.get("message")
        if choice.get("text"):
            return True
        if isinstance(message, dict) and any(
            value not in _EMPTY for name, value in message.items() if name not in _NOT_PRODUCED
        ):
            return True
    return False


def _choices(answer: Any) -> Iterator[dict[str, Any]]:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            yield choice


def _message_texts(message: dict[str, Any]) -> Iterator[str]:
    for name in _TEXT_FIELDS:
        value = message.get(name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (part["text"] for part in value if isinstance(part, dict) and isinstance(part.get("text"), str))
    tool_calls = message.get("tool_calls")
    functions: list[Any] = [message.get("function_call")]
    if isinstance(tool_calls, list):
        functions += [call.get("function") for call in tool_calls if isinstance(call, dict)]
    yield from _strings(functions)


def _strings(functions: Iterable[Any]) -> Iterator[str]:
    for function in functions:
        if isinstance(function, dict):
            for name in ("name", "arguments"):
                if isinstance(function.get(name), str):
                    yield function[name]
