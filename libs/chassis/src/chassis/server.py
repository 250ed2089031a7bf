"""Runs an ASGI app inside a service's own event loop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

KEEP_ALIVE_SECONDS: Final = 75
"""Longer than the clients and proxies before a service keep a connection that nobody uses: who ends it first risks
that the other one sends a request into the end."""


@contextlib.asynccontextmanager
async def serve(app: ASGIApp, host: str, port: int, **options: Any) -> AsyncIterator[None]:  # Any: as uvicorn has them
    """Serve while the block runs, then take no new connection and wait for the open requests.

    `options` are uvicorn's, where a service wants others than it has by itself.

    Raises:
        OSError: the port can't be listened on.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        **options,
    )
    config.load()
    server = uvicorn.Server(config)
    # Its steps one by one: all of them in one, `serve`, would take the process's signals for itself.
    server.lifespan = config.lifespan_class(config)
    try:
        await server.startup()
    except SystemExit as error:
        raise OSError(f"cannot listen on {host}:{port}") from error
    ticking = asyncio.create_task(server.main_loop(), name="http")
    try:
        yield
    finally:
        server.should_exit = True
        await ticking
        await server.shutdown()
