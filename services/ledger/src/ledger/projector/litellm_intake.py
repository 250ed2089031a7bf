"""Takes in what LiteLLM's `generic_api` callback posts: authenticated, bounded, stored before it is answered."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg
import structlog
from chassis.caller_keys import CallerKeyring, UnknownKeyError
from chassis.postgres import DATABASE_ERRORS, refuses_the_data
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from ledger.projector.metrics import TOLD_CALLS
from ledger.reconciliation.litellm_payloads import Batch, UnreadableError, read_batch
from ledger.store.reconciliation.rows import Source
from ledger.store.reconciliation.upstream_calls import keep_calls

PATH: Final = "/internal/litellm/usage"
MAX_BYTES: Final = 32 * 1024 * 1024
"""LiteLLM posts up to 512 calls at once, of some 12 kB each where messages are not logged."""
BODY_SECONDS: Final = 30.0
AT_ONCE: Final = 2
"""Bodies in memory. LiteLLM sends a batch once, unless it is told to try again: the others wait a while for a place."""
WAIT_SECONDS: Final = 20.0

log = structlog.get_logger()


class LitellmIntake:
    """`POST /internal/litellm/usage`: 200 once all calls that can be read are stored, each attempt once."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        keys: list[str],
        *,
        kept: timedelta,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pool = pool
        self._keys = CallerKeyring(keys)
        self._is_on = bool(keys)
        self._kept = kept
        self._now = now
        self._places = asyncio.Semaphore(AT_ONCE)

    def beside(self, health: ASGIApp) -> ASGIApp:
        """The projector's app: this, and what it answers about its health."""
        return Starlette(routes=[Route(PATH, self._receive, methods=["POST"]), Mount("/", health)])

    async def _receive(self, request: Request) -> Response:
        if not self._is_on:
            return _error(404, "off: SOLARIS_LITELLM_CALLBACK_KEYS is not set")
        try:
            self._keys.authenticate(dict(request.headers.raw))
        except UnknownKeyError:
            return _error(401, "missing or unknown key")
        if request.headers.get("content-encoding", "identity") != "identity":
            return _error(415, "no content encoding is read")
        if int(request.headers.get("content-length") or 0) > MAX_BYTES:
            return _error(413, f"at most {MAX_BYTES} bytes")
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            return _error(503, "busy; send it again")
        try:
            return await self._take(request)
        finally:
            self._places.release()

    async def _take(self, request: Request) -> Response:
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        return _error(413, f"at most {MAX_BYTES} bytes")
        except TimeoutError:
            return _error(408, "the body took too long")
        except ClientDisconnect:
            return _error(400, "the body did not end")
        now = self._now()
        try:
            batch = read_batch(bytes(body), now, now - self._kept)
        except UnreadableError as error:
            return _error(400, str(error))
        try:
            stored = await self._store(batch)
        except DATABASE_ERRORS as error:
            log.warning("litellm_usage_not_stored", error=repr(error))
            status = 400 if refuses_the_data(error) else 503
            return _error(status, "not stored; send it again" if status == 503 else "not storable")
        return self._answer(batch, stored)

    async def _store(self, batch: Batch) -> int:
        async with self._pool.acquire() as connection:
            return await keep_calls(connection, Source.CALLBACK, batch.calls)

    def _answer(self, batch: Batch, stored: int) -> Response:
        counts = {"stored": stored, "repeated": len(batch.calls) - stored, "refused": len(batch.refused)}
        for result, count in counts.items():
            TOLD_CALLS.labels(result).inc(count)
        if batch.refused:
            log.warning("litellm_calls_refused", count=len(batch.refused), first=batch.refused[0][:200])
        return JSONResponse(counts)


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status_code=status)
