"""A whole answer as the events of a stream that has begun: a completion as the chunks that say the same."""

from typing import Any, Final

import msgspec

from gateway.domain.lenient_json import decoded_or_none

_DONE: Final = b"data: [DONE]\n\n"
_NOT_JSON: Final = {
    "error": {"message": "the upstream answered something else than JSON", "type": "api_error", "code": None}
}

_encode = msgspec.json.Encoder().encode


def event_of(body: bytes) -> bytes:
    """An upstream's error as one event and the end of the stream."""
    content = decoded_or_none(body)
    return events_of([_NOT_JSON if content is None else content])


def completion_events(content: dict[str, Any], *, with_usage: bool) -> bytes:
    """A `chat.completion` as `chat.completion.chunk`; anything else, an error for example, as it is."""
    choices = content.get("choices")
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        return events_of([content])
    head = {name: value for name, value in content.items() if name not in ("choices", "usage", "object")}
    head["object"] = "chat.completion.chunk"
    chunks = [head | {"choices": [_as_delta(choice, at) for at, choice in enumerate(choices)]}]
    if with_usage and content.get("usage") is not None:
        chunks.append(head | {"choices": [], "usage": content["usage"]})
    return events_of(chunks)


def _as_delta(choice: dict[str, Any], at: int) -> dict[str, Any]:
    rest = {name: value for name, value in choice.items() if name != "message"}
    message = choice.get("message")
    delta = dict(message) if isinstance(message, dict) else {}
    calls = delta.get("tool_calls")
    if isinstance(calls, list):
        delta["tool_calls"] = [
            {"index": number} | call if isinstance(call, dict) else call for number, call in enumerate(calls)
        ]
    return {"index": at} | rest | {"delta": delta}


def events_of(contents: list[dict[str, Any]]) -> bytes:
    """A stream to its end."""
    return b"".join(b"data: " + _encode(content) + b"\n\n" for content in contents) + _DONE
