"""Billing's ASGI app: health and metrics, the pages that people see, and the API through FastAPI."""

from importlib.metadata import version
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from billing.http.bodies import BoundedBodies
from billing.http.problems import answer_errors
from billing.http.webhook import WEBHOOK_PATH

_OPERATIONS: Final = ("/health/", "/metrics")
_PAGES: Final = "/buy"


class BillingApp:
    """Hands on to whoever answers below a path; what nobody knows is the API's to refuse."""

    def __init__(self, routers: list[APIRouter], pages: ASGIApp, operations: ASGIApp) -> None:
        self._operations = operations
        self._pages = pages
        # What is served is told by the documents of the repository, not by pages that load scripts from elsewhere.
        # A redirect to the address with or without its last slash would lead to whatever a client calls us.
        api = FastAPI(
            title="Solaris billing",
            version=version("solaris-billing"),
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            redirect_slashes=False,
        )
        answer_errors(api)
        for router in routers:
            api.include_router(router)
        self._bounded_api = BoundedBodies(api, but_not=WEBHOOK_PATH)  # pages bound their forms themselves

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answering(scope)(scope, receive, send)

    def _answering(self, scope: Scope) -> ASGIApp:
        path = scope["path"] if scope["type"] == "http" else ""
        if path.startswith(_OPERATIONS):
            return self._operations
        return self._pages if path == _PAGES or path.startswith(f"{_PAGES}/") else self._bounded_api
