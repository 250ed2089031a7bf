"""Liveness, readiness and metrics routes, the same in every service."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

type Check = Callable[[], Awaitable[str | None]]
"""Returns None when the part works, else one line that says what is wrong."""

CHECK_TIMEOUT_SECONDS = 2.0
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


def health_routes(checks: Mapping[str, Check], *, instance: str = "") -> list[Route]:
    """`GET /health/live`, `/health/ready` (503 with the failing part named) and `/metrics`."""
    headers = {INSTANCE_HEADER: instance} if instance else {}

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"}, headers=headers)

    async def ready(_: Request) -> Response:
        failing = await failing_parts(checks)
        if failing:
            return JSONResponse({"status": "not ready", "failing": failing}, status_code=503, headers=headers)
        return JSONResponse({"status": "ready"}, headers=headers)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    return [Route("/health/live", live), Route("/health/ready", ready), Route("/metrics", metrics)]
