"""An OpenAI-compatible server that does what a test tells it, also the impolite."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from contracts.usage import TokenUsage

USAGE = {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}
METERED = TokenUsage(prompt_tokens=20, completion_tokens=9)
"""The same as the gateway records it."""


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Responder:
    """What a handler writes with; `closed` is set when the gateway closed the connection."""

    def __init__(self, writer: asyncio.StreamWriter, closed: asyncio.Event) -> None:
        self.writer = writer
        self.closed = closed

    async def reply(self, status: int, body: Any, content_type: str = "application/json") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {len(data)}\r\nx-upstream: yes"
        self.writer.write(head.encode() + b"\r\n\r\n" + data)
        await self.writer.drain()

    async def start_stream(self) -> None:
        self.writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        await self.writer.drain()

    async def raw(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self.writer.drain()

    async def event(self, content: Any) -> None:
        data = content if isinstance(content, str) else json.dumps(content)
        await self.raw(f"data: {data}\n\n".encode())

    async def end_stream(self, *, done: bool = True) -> None:
        if done:
            await self.event("[DONE]")
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()


type Handler = Callable[[Request, Responder], Awaitable[None]]


def completion(text: str = "Hello there", usage: Any = USAGE) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    answer: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    return answer if usage is None else answer | {"usage": usage}


def chunk(text: str | None = None, finish_reason: str | None = None) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def usage_chunk(usage: Any = USAGE, choices: Any = ()) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": list(choices), "usage": usage}


async def polite(request: Request, responder: Responder) -> None:
    """Answers as a provider does: usage in a stream only when it is asked for."""
    if not request.json.get("stream"):
        await responder.reply(200, completion())
        return
    await responder.start_stream()
    for word in ("Hello", " there"):
        await responder.event(chunk(word))
    await responder.event(chunk(None, "stop"))
    if (request.json.get("stream_options") or {}).get("include_usage"):
        await responder.event(usage_chunk())
    await responder.end_stream()


class ScriptedUpstream:
    """`handle` answers the next chat calls; `requests` are those that came."""

    def __init__(self) -> None:
        self.handle: Handler = polite
        self.requests: list[Request] = []
        self.model_info: Any = None
        self.model_list_requests = 0
        self.port = 0

    def reset(self) -> None:
        self.handle = polite
        self.requests.clear()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        closed = asyncio.Event()
        try:
            while True:
                request = await _read_request(reader)
                await self._answer(request, Responder(writer, closed), reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            closed.set()
            writer.close()

    async def _answer(self, request: Request, responder: Responder, reader: asyncio.StreamReader) -> None:
        if request.path == "/v1/models":
            self.model_list_requests += 1
            await responder.reply(200, {"object": "list", "data": [{"id": "gpt-4o", "object": "model"}]})
        elif request.path == "/v1/model/info":
            await responder.reply(200 if self.model_info is not None else 404, self.model_info or {})
        else:
            self.requests.append(request)
            handling = asyncio.create_task(_call(self.handle, request, responder))
            # While an answer is under way the gateway sends nothing: what can be read is the connection's end.
            ending = asyncio.create_task(_wait_for_end(reader, responder.closed))
            try:
                await handling
            finally:
                ending.cancel()


async def _call(handle: Handler, request: Request, responder: Responder) -> None:
    await handle(request, responder)


async def _wait_for_end(reader: asyncio.StreamReader, closed: asyncio.Event) -> None:
    while not reader.at_eof() and reader.exception() is None:  # noqa: ASYNC110  a look, not a read: the next request's
        await asyncio.sleep(0.005)
    closed.set()


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in head[1:] if line}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(head[0].split()[1], headers, body)


@asynccontextmanager
async def running_upstream() -> AsyncIterator[ScriptedUpstream]:
    upstream = ScriptedUpstream()
    server = await asyncio.start_server(upstream._serve, "127.0.0.1", 0, limit=64 * 2**20, backlog=1_024)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
