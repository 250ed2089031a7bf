"""The demo upstream's HTTP surface, a plain ASGI app."""

import asyncio
import json
from collections import deque
from typing import Any, Final

from chassis.health import INSTANCE_HEADER
from starlette.types import Message, Receive, Scope, Send

from local_run.demo_upstream.answers import CREATED, Answer, as_chunks, as_object, compose
from local_run.demo_upstream.behaviour import Behaviour, behaviour_of

MAX_BODY_BYTES: Final = 32 * 1024 * 1024
KEPT_REQUESTS: Final = 200
MODELS: Final = (
    "demo",
    "demo-fast",
    "demo-tools",
    "demo-reasoning",
    "demo-nousage",
    "demo-slow:2000",
    "demo-error:500",
    "demo-usage:1000:200:50",
)
MAX_OUTPUT_TOKENS: Final = 16_384
_MAX_PAUSE_SECONDS: Final = 3_600
_LONGEST_PACED_ANSWER_SECONDS: Final = 2.0
_KEPT_BODY_BYTES: Final = 64 * 1024


class DemoUpstream:
    """Answers chat completions; remembers the last requests for tests (`GET /demo/requests`)."""

    def __init__(self, instance: str = "") -> None:
        self._requests: deque[dict[str, Any]] = deque(maxlen=KEPT_REQUESTS)
        self._health_headers = ((INSTANCE_HEADER.encode(), instance.encode()),) if instance else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        match scope["method"], scope["path"]:
            case "POST", "/v1/chat/completions":
                await self._chat(scope, receive, send)
            case "GET", "/v1/models":
                models = [{"id": name, "object": "model", "created": CREATED, "owned_by": "solaris"} for name in MODELS]
                await _send_json(send, 200, {"object": "list", "data": models})
            case "GET", "/v1/model/info" | "/model/info":
                await _send_json(send, 200, {"data": [_model_info(name) for name in MODELS]})
            case "GET", "/demo/requests":
                await _send_json(send, 200, list(self._requests))
            case "GET", "/health/liveliness" | "/health/live" | "/health/ready":
                await _send_json(send, 200, {"status": "live"}, self._health_headers)
            case _:
                await _send_error(send, 404, "no such path")

    async def _chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read_body(receive)
        if body is None:
            await _send_error(send, 413, "the body is too large")
            return
        self._remember(scope, body)
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict) or not isinstance(request.get("model"), str):
            await _send_error(send, 400, "the body must be a JSON object that names a model")
            return
        behaviour = behaviour_of(request["model"])
        await _answer(request, behaviour, _echoed_headers(scope), receive, send)

    def _remember(self, scope: Scope, body: bytes) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        headers.pop("authorization", None)
        text = body[:_KEPT_BODY_BYTES].decode(errors="replace")
        self._requests.append({"path": scope["path"], "headers": headers, "body": text})


async def _answer(
    request: dict[str, Any], behaviour: Behaviour, headers: list[tuple[bytes, bytes]], receive: Receive, send: Send
) -> None:
    """Answer until the end or until the client leaves, whichever comes first."""
    answering = asyncio.create_task(_speak(request, behaviour, headers, send))
    leaving = asyncio.create_task(_client_left(receive))
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not answering.done():
            answering.cancel()
    if not answering.cancelled():
        await asyncio.gather(answering, return_exceptions=True)


async def _client_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _speak(request: dict[str, Any], behaviour: Behaviour, headers: list[tuple[bytes, bytes]], send: Send) -> None:
    await _pause(behaviour.slow_ms / 1000)
    if behaviour.error_status is not None:
        await _send_error(send, behaviour.error_status, f"the demo model answers {behaviour.error_status}, as asked")
        return
    answer = compose(request, behaviour)
    await _pause(behaviour.first_token_ms / 1000)
    if request.get("stream") is True:
        await _stream(answer, behaviour, request, headers, send)
    else:
        await _whole(answer, behaviour, headers, send)


async def _whole(answer: Answer, behaviour: Behaviour, headers: list[tuple[bytes, bytes]], send: Send) -> None:
    await _pause(min(behaviour.pace_ms / 1000 * len(answer.said), _LONGEST_PACED_ANSWER_SECONDS))
    body = json.dumps(as_object(answer), ensure_ascii=False, separators=(",", ":")).encode()
    length = (b"content-length", str(len(body)).encode())
    content_type = (b"content-type", b"application/json")
    await send({"type": "http.response.start", "status": 200, "headers": [*headers, content_type, length]})
    if behaviour.cut:  # returning before the end makes the server close the connection
        body = body[: len(body) // 2]
    await send({"type": "http.response.body", "body": body, "more_body": behaviour.cut})


async def _stream(
    answer: Answer, behaviour: Behaviour, request: dict[str, Any], headers: list[tuple[bytes, bytes]], send: Send
) -> None:
    options = request.get("stream_options")
    include_usage = isinstance(options, dict) and options.get("include_usage") is True
    chunks = list(as_chunks(answer, include_usage=include_usage))
    if behaviour.cut:
        chunks = chunks[: max(1, len(chunks) // 2)]
    content_type = (b"content-type", b"text/event-stream; charset=utf-8")
    await send({"type": "http.response.start", "status": 200, "headers": [*headers, content_type]})
    for number, chunk in enumerate(chunks):
        if number == 1:
            await _pause(behaviour.silent_seconds)
        if number > 0:
            await _pause(behaviour.pace_ms / 1000)
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    if not behaviour.cut:
        await send({"type": "http.response.body", "body": b""})


async def _pause(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(min(seconds, _MAX_PAUSE_SECONDS))


async def _read_body(receive: Receive) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message: Message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _echoed_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """LiteLLM's own habit: the caller's call id comes back."""
    return [(name, value) for name, value in scope["headers"] if name == b"x-litellm-call-id"]


def _model_info(name: str) -> dict[str, Any]:
    info = {"max_tokens": MAX_OUTPUT_TOKENS, "max_output_tokens": MAX_OUTPUT_TOKENS, "max_input_tokens": 128_000}
    return {"model_name": name, "litellm_params": {"model": f"openai/{name}"}, "model_info": info}


async def _send_json(send: Send, status: int, value: object, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    body = json.dumps(value, ensure_ascii=False).encode()
    fixed = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})


async def _send_error(send: Send, status: int, message: str) -> None:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    error = {"message": message, "type": kind, "param": None, "code": f"demo_{status}"}
    headers = ((b"retry-after", b"1"),) if status in {429, 503} else ()
    await _send_json(send, status, {"error": error}, headers)
