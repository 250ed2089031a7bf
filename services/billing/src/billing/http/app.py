"""Billing's ASGI app: health and metrics through Starlette, all else through FastAPI."""

from importlib.metadata import version
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from billing.http.problems import answer_errors

_OPERATIONS: Final = ("/health/", "/metrics")


class BillingApp:
    """Answers about health, or hands on to the routes."""

    def __init__(self, routers: list[APIRouter], operations: ASGIApp) -> None:
        self._operations = operations
        # What is served is told by the documents of the repository, not by pages that load scripts from elsewhere.
        self._api = FastAPI(
            title="Solaris billing", version=version("solaris-billing"), docs_url=None, redoc_url=None, openapi_url=None
        )
        answer_errors(self._api)
        for router in routers:
            self._api.include_router(router)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_operation = scope["type"] == "http" and scope["path"].startswith(_OPERATIONS)
        await (self._operations if is_operation else self._api)(scope, receive, send)
