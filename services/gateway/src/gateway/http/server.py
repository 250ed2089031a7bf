"""uvicorn with the gateway's own waits, and with OpenAI's shape for requests that are not HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.http.app import GatewayApp
from gateway.http.errors import error_answer

KEEP_ALIVE_SECONDS = 75
FORCED_END_SECONDS = 2.0
"""After the last call was told to end: how long its client may take to read what was sent."""


class GatewayProtocol(HttpToolsProtocol):
    """Answers broken HTTP (two lengths, bad characters) as any other bad request."""

    def send_400_response(self, msg: str) -> None:
        body = error_answer(400, "invalid_request", f"Invalid request: {msg}").body
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[400] + head + body)
        self.transport.close()


@contextlib.asynccontextmanager
async def serve(app: GatewayApp, host: str, port: int, *, finish_seconds: float) -> AsyncIterator[uvicorn.Server]:
    """Serve while the block runs, then take no new connections and wait for the open calls.

    Raises:
        OSError: the port is taken.
    """
    asgi: Any = app  # Any: uvicorn's own names for the same ASGI types
    config = uvicorn.Config(
        asgi,
        host=host,
        port=port,
        http=GatewayProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(finish_seconds + FORCED_END_SECONDS)),
        backlog=4096,
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]  # signals are main's
    task = asyncio.create_task(server.serve(), name="http")
    while not server.started:
        if task.done():
            raise OSError(f"cannot listen on {host}:{port}")
        await asyncio.sleep(0.01)
    try:
        yield server
    finally:
        server.should_exit = True
        await task
