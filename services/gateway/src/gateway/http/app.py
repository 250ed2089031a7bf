"""The gateway's ASGI app: the hot route directly, health and metrics through Starlette, all else a clear 404."""

import structlog
from chassis.caller_keys import CallerKeyring, UnknownKeyError
from starlette.types import ASGIApp

from gateway.application.call import ENDPOINT
from gateway.domain.errors import InvalidRequestError
from gateway.http.chat_route import ChatRoute
from gateway.http.errors import ErrorAnswer, error_answer, request_error
from gateway.http.exchange import Exchange, Receive, Scope, Send
from gateway.upstream.connection import UpstreamError
from gateway.upstream.models import ModelLists

log = structlog.get_logger()

MODELS_PATH = "/v1/models"
_OPERATIONS = ("/health/", "/metrics")


class GatewayApp:
    """Paths that it does not serve are answered 404: nothing that costs tokens slips through unmetered."""

    def __init__(self, *, keys: CallerKeyring, chat: ChatRoute, models: ModelLists, operations: ASGIApp) -> None:
        self._keys = keys
        self._chat = chat
        self._models = models
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        if path.startswith(_OPERATIONS):
            await self._operations(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        try:
            if path == ENDPOINT and method == "POST":
                await self._chat(exchange)
            elif path == MODELS_PATH and method == "GET":
                await self._list_models(exchange)
            elif path in (ENDPOINT, MODELS_PATH):
                allowed = "POST" if path == ENDPOINT else "GET"
                await _respond(exchange, error_answer(405, "method_not_allowed", f"Use {allowed} for {path}."))
            else:
                message = f"This gateway does not serve {method} {path[:100]}."
                await _respond(exchange, error_answer(404, "not_found", message))
        except Exception:
            log.exception("call_failed", path=path[:100])
            if exchange.started:
                raise
            message = "The gateway failed on this request."
            await _respond(exchange, error_answer(500, "internal_error", message, "api_error"))

    async def _list_models(self, exchange: Exchange) -> None:
        try:
            exchange.check_headers()
            self._keys.authenticate(exchange.headers)
            models = await self._models.get()
        except (UnknownKeyError, InvalidRequestError) as error:
            await _respond(exchange, request_error(error))
        except (UpstreamError, TimeoutError):
            message = "The upstream does not list its models at the moment."
            await _respond(exchange, error_answer(502, "upstream_unreachable", message, "api_error"))
        else:
            await exchange.respond(models.status, [(b"content-type", models.content_type)], models.body)


async def _respond(exchange: Exchange, answer: ErrorAnswer) -> None:
    await exchange.respond(answer.status, answer.headers, answer.body)
