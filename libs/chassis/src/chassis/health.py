"""Liveness, readiness and metrics routes, the same in every service."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chassis.settings import ServiceSettings

type Check = Callable[[], Awaitable[str | None]]
"""Returns None when the part works, else one line that says what is wrong."""

CHECK_TIMEOUT_SECONDS = 2.0
READY_SECONDS = 1.0
FAILING_SECONDS = 0.1
INSTANCE_HEADER: Final = "x-solaris-instance"
"""Carries what a service was told to call itself, so that whoever started it knows it from a stranger on its port."""


async def failing_parts(checks: Mapping[str, Check]) -> dict[str, str]:
    """Run all checks at once, each bounded; returns the parts that fail with their reasons."""

    async def reason(check: Check) -> str | None:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                return await check()
        except TimeoutError:
            return f"no answer within {CHECK_TIMEOUT_SECONDS:g} s"
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    reasons = await asyncio.gather(*(reason(check) for check in checks.values()))
    return {part: text for part, text in zip(checks, reasons, strict=True) if text is not None}


class Remembered[Value]:
    """Asks once at a time, and not again while the answer is fresh: anybody may ask, and each asks other parts."""

    def __init__(self, ask: Callable[[], Awaitable[Value]], fresh_seconds: Callable[[Value], float]) -> None:
        self._ask = ask
        self._fresh_seconds = fresh_seconds
        self._asking = asyncio.Lock()
        self._known: tuple[Value, float] | None = None

    async def get(self) -> Value:
        async with self._asking:
            if self._known is not None and time.monotonic() < self._known[1]:
                return self._known[0]
            value = await self._ask()
            self._known = (value, time.monotonic() + self._fresh_seconds(value))
            return value


def health_app(
    settings: ServiceSettings, checks: Mapping[str, Check], notes: Mapping[str, Check], *, stopping: Callable[[], bool]
) -> Starlette:
    """`GET /health/live`, `/health/ready` (503 with the failing part named) and `/metrics`.

    `notes` are checks of what an operator should know of a service that serves all the same: they stand in the answer.
    With a `metrics_token`, metrics are for those who bear it. Once `stopping`, it is not ready, whatever is remembered.
    """
    readiness = Remembered(lambda: failing_parts(checks), lambda failing: FAILING_SECONDS if failing else READY_SECONDS)
    noted = Remembered(lambda: failing_parts(notes), lambda _: READY_SECONDS)
    headers = {INSTANCE_HEADER: settings.instance} if settings.instance else {}

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"}, headers=headers)

    async def ready(_: Request) -> Response:
        failing: dict[str, str] = {"service": "is stopping"}
        told: dict[str, str] = {}
        if not stopping():  # side by side, so that a slow note makes no answer later than a slow check would
            failing, told = await asyncio.gather(readiness.get(), noted.get())
        if failing:
            return JSONResponse({"status": "not ready", "failing": failing}, status_code=503, headers=headers)
        return JSONResponse({"status": "ready", "notes": told} if told else {"status": "ready"}, headers=headers)

    async def exposition() -> bytes:
        return generate_latest(REGISTRY)

    scraped = Remembered(exposition, lambda _: READY_SECONDS)

    async def metrics(request: Request) -> Response:
        if settings.metrics_token is not None:
            expected = f"Bearer {settings.metrics_token.get_secret_value()}"
            if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected.encode()):
                return Response(status_code=401)
        return Response(await scraped.get(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/health/live", live), Route("/health/ready", ready), Route("/metrics", metrics)])
