"""Takes in what Stripe tells: verified on its very bytes, stored under its id, answered; handled by others, later."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import structlog
from chassis.postgres import DATABASE_ERRORS
from contracts.codec import DECODE_ERRORS
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from msgspec import Meta, Struct, json
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import ClientDisconnect

from billing import metrics
from billing.http.problems import ProblemError
from billing.store.webhook_events import store_event
from billing.stripe_api.signatures import SignatureError, check_signature

WEBHOOK_PATH: Final = "/billing/webhook/stripe"
MAX_BYTES: Final = 1024 * 1024
"""Stripe's largest objects have some tens of kilobytes."""
BODY_SECONDS: Final = 10.0
SMALL_BYTES: Final = 64 * 1024
"""Of nearly all that Stripe sends. Reading that much takes nobody's place: whoever sends slowly need not be Stripe."""
AT_ONCE: Final = 64
"""Larger bodies being read, and verified events being stored; Stripe delivers again what is answered 503."""

log = structlog.get_logger()


class _Data(Struct, frozen=True):
    object: dict[str, Any]  # as Stripe has it


class _Envelope(Struct, frozen=True):
    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_]{1,255}$(?!\n)")]
    type: Annotated[str, Meta(pattern=r"^[a-z0-9_.]{1,128}$(?!\n)")]
    created: Annotated[int, Meta(ge=0, lt=2**35)]
    livemode: bool
    data: _Data


_decode: Final = json.Decoder(_Envelope).decode


class _LargeReads:
    """Bodies that are large, and not verified yet. Where one more comes, the one that takes longest is given up.

    Stripe sends in an instant; to refuse who comes would let whoever sends slowly keep it out.
    """

    def __init__(self) -> None:
        self._oldest_first: dict[asyncio.Timeout, None] = {}

    def __contains__(self, reading: asyncio.Timeout) -> bool:
        return reading in self._oldest_first

    def add(self, reading: asyncio.Timeout) -> None:
        if reading in self:
            return
        if len(self._oldest_first) >= AT_ONCE:
            oldest = next(iter(self._oldest_first))
            self.remove(oldest)
            oldest.reschedule(asyncio.get_running_loop().time())
        self._oldest_first[reading] = None

    def remove(self, reading: asyncio.Timeout) -> None:
        self._oldest_first.pop(reading, None)


@dataclass(frozen=True, kw_only=True)
class WebhookIntake:
    """What it takes to believe a delivery; `on_stored` is told of each that is new."""

    engine: AsyncEngine
    secrets: tuple[str, ...]
    livemode: bool
    on_stored: Callable[[], None]

    def routes(self) -> APIRouter:
        """`POST /billing/webhook/stripe`: 200 once it is stored, 400 for what is not to be believed, else 503."""
        router = APIRouter()
        large, for_stored = _LargeReads(), asyncio.Semaphore(AT_ONCE)

        @router.post(WEBHOOK_PATH)
        async def receive(request: Request) -> JSONResponse:
            if not self.secrets:
                raise self._refused(503, "no_secret")
            payload = await self._read(request, large)
            event = self._verified(payload, request.headers.get("stripe-signature"))
            if for_stored.locked():
                raise self._refused(503, "busy")
            async with for_stored:
                return await self._store(event, payload)

        return router

    async def _read(self, request: Request, large: _LargeReads) -> bytes:
        body = bytearray()
        reading = asyncio.timeout(BODY_SECONDS)
        try:
            async with reading:
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise self._refused(400, "oversized")
                    if len(body) > SMALL_BYTES:
                        large.add(reading)
        except TimeoutError:
            if len(body) > SMALL_BYTES and reading not in large:
                raise self._refused(503, "crowded_out") from None
            raise self._refused(400, "slow") from None
        except ClientDisconnect:
            raise self._refused(400, "broken_off") from None
        finally:
            large.remove(reading)
        return bytes(body)

    def _verified(self, payload: bytes, header: str | None) -> _Envelope:
        try:
            check_signature(payload, header, self.secrets)
            event = _decode(payload)
        except SignatureError as error:
            raise self._refused(400, error.reason) from error
        except DECODE_ERRORS as error:
            raise self._refused(400, "unreadable") from error
        if event.livemode != self.livemode:
            raise self._refused(400, "wrong_mode")
        return event

    async def _store(self, event: _Envelope, payload: bytes) -> JSONResponse:
        try:
            is_new = await store_event(
                self.engine,
                event_id=event.id,
                event_type=event.type,
                livemode=event.livemode,
                happened_at=datetime.fromtimestamp(event.created, UTC),
                payload=payload,
            )
        except DATABASE_ERRORS as error:
            raise self._refused(503, "not_stored") from error
        metrics.WEBHOOKS_RECEIVED.labels("stored" if is_new else "repeated").inc()
        if is_new:
            self.on_stored()
        return JSONResponse({"received": True})

    def _refused(self, status: int, reason: str) -> ProblemError:
        """The answer says no more than that: whoever forges shall learn nothing of how."""
        metrics.WEBHOOKS_RECEIVED.labels(reason).inc()
        log.warning("webhook_refused", reason=reason)
        return ProblemError(status, "webhook_refused" if status == 400 else "unavailable", "Not taken.")
