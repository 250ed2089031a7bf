"""A notice as an assistant's message: the stream of one that used nothing."""

import time
from typing import Any

from gateway.application.call import Call
from gateway.domain.completion_chunk import events_of
from gateway.domain.headers import EVENT_STREAM, REQUEST_ID
from gateway.http.exchange import Exchange

_NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


async def send_notice(exchange: Exchange, call: Call, text: str) -> None:
    """Answer a streaming request with `text`; one that does not stream may be a title and gets the plain error."""
    headers = [(b"content-type", EVENT_STREAM), (REQUEST_ID, call.id.encode())]
    await exchange.respond(200, headers, notice_stream(call, text))


def notice_stream(call: Call, text: str) -> bytes:
    """`chat.completion.chunk` events with the notice as their one choice."""
    kind = "chat.completion.chunk"
    head = {"id": f"chatcmpl-{call.id}", "object": kind, "created": int(time.time()), "model": call.model}

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}

    chunks = [chunk({"role": "assistant", "content": ""}), chunk({"content": text}), chunk({}, "stop")]
    if call.wants_usage_chunk:
        chunks.append(head | {"choices": [], "usage": _NO_USAGE})
    return events_of(chunks)
