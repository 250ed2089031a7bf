"""The trivial upstream's answers, as bytes made once."""

import json
from typing import Final

CHUNKS_PER_STREAM: Final = 200
PROMPT_TOKENS: Final = 96
COMPLETION_TOKENS: Final = 200
MODEL: Final = "gpt-4o-mini"
"""In every peer's catalog of models, so that each does for it what it does for a real one."""

CONTENT_MARK: Final = b'"content":" w'
"""Stands once in each content chunk, whoever relayed it."""

_CREATED: Final = 1_760_000_000
_USAGE: Final = {
    "prompt_tokens": PROMPT_TOKENS,
    "completion_tokens": COMPLETION_TOKENS,
    "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
}


def whole_answer() -> bytes:
    """The HTTP response of a call that does not stream."""
    message = {"role": "assistant", "content": "Three short words.", "refusal": None}
    body = _encode(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": _CREATED,
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": _USAGE,
        }
    )
    return json_answer(200, "OK", body)


def json_answer(status: int, reason: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def stream_head() -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def stream_chunks() -> list[bytes]:
    """The content chunks, each an HTTP chunk of its own; all differ, for LiteLLM ends a stream that repeats itself."""
    return [_framed(_chunk([_choice({"content": f" w{count:03}"}, None)])) for count in range(CHUNKS_PER_STREAM)]


def stream_tail(*, with_usage: bool) -> bytes:
    """What ends a stream: the finish reason, the usage where it was asked for, `[DONE]`."""
    last = _framed(_chunk([_choice({}, "stop")]))
    usage = _framed(_chunk([], usage=_USAGE)) if with_usage else b""
    return last + usage + _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def _choice(delta: dict[str, str], finish_reason: str | None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _chunk(choices: list[object], **more: object) -> bytes:
    event = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": _CREATED, "model": MODEL}
    return b"data: " + _encode({**event, "choices": choices, **more}) + b"\n\n"


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
