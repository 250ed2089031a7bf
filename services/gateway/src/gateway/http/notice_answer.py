"""A notice as an assistant's message: a completion, or the stream of one, that used nothing."""

import time
from typing import Any

import msgspec

from gateway.application.relay import EVENT_STREAM
from gateway.http.exchange import Exchange
from gateway.upstream.connection import Headers

_encode = msgspec.json.Encoder().encode
_NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


async def send_notice(
    exchange: Exchange, text: str, *, call_id: str, model: str, stream: bool, wants_usage_chunk: bool, headers: Headers
) -> None:
    """Answer with `text` in the form that the request asked for."""
    if stream:
        body = notice_stream(text, call_id, model, wants_usage_chunk=wants_usage_chunk)
        await exchange.respond(200, [(b"content-type", EVENT_STREAM), *headers], body)
    else:
        body = notice_completion(text, call_id, model)
        await exchange.respond(200, [(b"content-type", b"application/json"), *headers], body)


def notice_completion(text: str, call_id: str, model: str) -> bytes:
    """`chat.completion` with the notice as its one choice."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return _encode(_head(call_id, model, "chat.completion") | {"choices": [choice], "usage": _NO_USAGE})


def notice_stream(text: str, call_id: str, model: str, *, wants_usage_chunk: bool) -> bytes:
    """The same as `chat.completion.chunk` events."""
    head = _head(call_id, model, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}

    chunks = [chunk({"role": "assistant", "content": ""}), chunk({"content": text}), chunk({}, "stop")]
    if wants_usage_chunk:
        chunks.append(head | {"choices": [], "usage": _NO_USAGE})
    return b"".join(b"data: " + _encode(one) + b"\n\n" for one in chunks) + b"data: [DONE]\n\n"


def _head(call_id: str, model: str, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{call_id}", "object": kind, "created": int(time.time()), "model": model}
