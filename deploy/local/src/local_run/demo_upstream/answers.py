"""Answers in OpenAI's shape: what is said, what it used, as one object or as the chunks of a stream."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from local_run.demo_upstream.behaviour import MAX_NUMBER, Behaviour, ReportedUsage
from local_run.demo_upstream.words import count_prompt_tokens, speak

CREATED: Final = 1_700_000_000
"""A fixed time: the same question gets the same answer, byte for byte."""

_MAX_CHUNKS: Final = 2_000
_REASONING_WORDS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`said` token by token; `usage` is None where the model keeps it to itself."""

    id: str
    model: str
    choices: int
    thought: list[str]
    said: list[str]
    tool_call: dict[str, Any] | None
    finish_reason: str
    usage: dict[str, Any] | None


def compose(request: dict[str, Any], behaviour: Behaviour) -> Answer:
    """The answer to a request; `max_completion_tokens` goes before `max_tokens`."""
    model = str(request.get("model", "demo"))
    maximum = _maximum(request)
    choices = request["n"] if isinstance(request.get("n"), int) and request["n"] > 0 else 1
    tool_call = _tool_call(request) if behaviour.calls_tools else None
    thought = speak(_REASONING_WORDS) if behaviour.reasons else []
    wanted = 8 if tool_call is not None else behaviour.words + len(thought)
    completion = wanted if maximum is None else min(wanted, maximum)
    thought = thought[:completion]
    said = [] if tool_call is not None else speak(completion - len(thought))
    cut_short = completion < wanted
    total = completion * choices
    if behaviour.usage is not None:  # exactly what was asked for, however many choices there are
        total = min(behaviour.usage.completion_tokens, total if cut_short else MAX_NUMBER)
    finish_reason = "length" if cut_short else "tool_calls" if tool_call is not None else "stop"
    return Answer(
        id="chatcmpl-" + hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:24],
        model=model,
        choices=choices,
        thought=thought,
        said=said,
        tool_call=None if cut_short else tool_call,
        finish_reason=finish_reason,
        usage=_usage(request, behaviour.usage, total, len(thought) * choices) if behaviour.tells_usage else None,
    )


def _maximum(request: dict[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        if isinstance(request.get(name), int):
            return max(0, int(request[name]))
    return None


def _usage(request: dict[str, Any], reported: ReportedUsage | None, completion: int, reasoning: int) -> dict[str, Any]:
    prompt = reported.prompt_tokens if reported else count_prompt_tokens(request)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": reported.cached_tokens if reported else 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0},
    }


def _tool_call(request: dict[str, Any]) -> dict[str, Any] | None:
    """A call of the first tool, unless the last message brings a tool's result."""
    tools, messages = request.get("tools"), request.get("messages")
    if not isinstance(tools, list) or not tools or not isinstance(messages, list) or not messages:
        return None
    if isinstance(messages[-1], dict) and messages[-1].get("role") == "tool":
        return None
    function = tools[0].get("function") if isinstance(tools[0], dict) else None
    if not isinstance(function, dict):
        return None
    parameters = function.get("parameters")
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    arguments = {name: _example(schema) for name, schema in (properties or {}).items()}
    return {
        "id": "call_demo_1",
        "type": "function",
        "function": {"name": str(function.get("name")), "arguments": json.dumps(arguments, ensure_ascii=False)},
    }


def _example(schema: Any) -> object:
    kind = schema.get("type") if isinstance(schema, dict) else None
    examples: dict[str, object] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    return examples.get(kind, "demo") if isinstance(kind, str) else "demo"


def as_object(answer: Answer) -> dict[str, Any]:
    """The answer of a request that did not ask for a stream."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(answer.said) or None}
    if answer.thought:
        message["reasoning_content"] = "".join(answer.thought)
    if answer.tool_call is not None:
        message["tool_calls"] = [answer.tool_call]
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
        for index in range(answer.choices)
    ]
    body = {"id": answer.id, "object": "chat.completion", "created": CREATED, "model": answer.model, "choices": choices}
    return body if answer.usage is None else body | {"usage": answer.usage}


def as_chunks(answer: Answer, *, include_usage: bool) -> Iterator[bytes]:
    """The server-sent events of a stream, `[DONE]` last; usage comes as OpenAI sends it, only when asked for."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += ({"reasoning_content": text} for text in _grouped(answer.thought))
    deltas += ({"content": text} for text in _grouped(answer.said))
    if answer.tool_call is not None:
        deltas += _tool_call_deltas(answer.tool_call)
    for delta in deltas:
        for index in range(answer.choices):
            yield _chunk(answer, index, delta, None, include_usage=include_usage)
    for index in range(answer.choices):
        yield _chunk(answer, index, {}, answer.finish_reason, include_usage=include_usage)
    if include_usage and answer.usage is not None:
        yield _event({**_chunk_head(answer), "choices": [], "usage": answer.usage})
    yield b"data: [DONE]\n\n"


def _tool_call_deltas(call: dict[str, Any]) -> list[dict[str, Any]]:
    function = call["function"]
    arguments = function["arguments"]
    middle = len(arguments) // 2
    first = {**call, "index": 0, "function": {"name": function["name"], "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": part}} for part in (arguments[:middle], arguments[middle:]) if part]
    return [{"tool_calls": [part]} for part in (first, *rest)]


def _grouped(tokens: list[str]) -> Iterator[str]:
    """A chunk for each token, or for several where a stream would have too many chunks."""
    size = -(-len(tokens) // _MAX_CHUNKS) or 1
    for start in range(0, len(tokens), size):
        yield "".join(tokens[start : start + size])


def _chunk_head(answer: Answer) -> dict[str, Any]:
    return {"id": answer.id, "object": "chat.completion.chunk", "created": CREATED, "model": answer.model}


def _chunk(answer: Answer, index: int, delta: dict[str, Any], finish: str | None, *, include_usage: bool) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    chunk = {**_chunk_head(answer), "choices": [choice]}
    return _event(chunk | {"usage": None} if include_usage else chunk)


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"
