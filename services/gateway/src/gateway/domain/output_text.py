"""The text that a model produced, found in chunks and answers, for the case that no usage comes."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

_TEXT_FIELDS: Final = ("content", "reasoning_content", "reasoning", "refusal")


def output_texts(answer: Any) -> Iterator[str]:
    """The produced texts of one decoded chunk or whole answer; nothing for what has another shape."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            message = choice.get("delta") or choice.get("message")
            if isinstance(message, dict):
                yield from _message_texts(message)


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
