"""The mailbox's pages and its JSON list."""

from dataclasses import asdict
from typing import Final

from chassis.health import INSTANCE_HEADER
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from local_run.mailbox.page import render_page
from local_run.mailbox.store import MailStore, body, describe, parse

_FRAME_POLICY: Final = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; "
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: cid:"
)
_PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-src 'self'"
)


def create_app(store: MailStore, instance: str = "") -> Starlette:
    """`/` and `/messages/{id}` for people, `/api/messages[/{id}]` for programs (`?to=`, `?kind=`, `?limit=`)."""

    async def page(request: Request) -> Response:
        summaries = list(store.newest_first())
        identifier = request.path_params.get("id") or (summaries[0].id if summaries else None)
        content = store.read(identifier) if identifier else None
        if request.path_params.get("id") and content is None:
            return PlainTextResponse("no such mail", status_code=404)
        opened = next((item for item in summaries if item.id == identifier), None)
        message = describe(opened, content) if opened is not None and content is not None else None
        return HTMLResponse(render_page(summaries, message), headers={"Content-Security-Policy": _PAGE_POLICY})

    async def html(request: Request) -> Response:
        content = store.read(request.path_params["id"])
        if content is None:
            return PlainTextResponse("no such mail", status_code=404)
        # Untrusted: shown in a frame without scripts, without this origin, without anything from the network.
        markup = '<base target="_blank">' + body(parse(content), "html")
        return HTMLResponse(markup, headers={"Content-Security-Policy": _FRAME_POLICY})

    async def raw(request: Request) -> Response:
        content = store.read(request.path_params["id"])
        if content is None:
            return PlainTextResponse("no such mail", status_code=404)
        return Response(content, media_type="text/plain", headers={"X-Content-Type-Options": "nosniff"})

    async def messages(request: Request) -> Response:
        recipient, kind = request.query_params.get("to"), request.query_params.get("kind")
        chosen = [
            asdict(item)
            for item in store.newest_first()
            if (recipient is None or recipient in item.to) and (kind is None or kind == item.kind)
        ]
        limit = request.query_params.get("limit", "")
        return JSONResponse(chosen[: int(limit)] if limit.isascii() and limit.isdigit() else chosen)

    async def message(request: Request) -> Response:
        identifier = request.path_params["id"]
        content = store.read(identifier)
        summary = next((item for item in store.newest_first() if item.id == identifier), None)
        if content is None or summary is None:
            return JSONResponse({"error": "no such mail"}, status_code=404)
        return JSONResponse(describe(summary, content))

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"}, headers={INSTANCE_HEADER: instance} if instance else {})

    return Starlette(
        routes=[
            Route("/", page),
            Route("/messages/{id}", page),
            Route("/messages/{id}/html", html),
            Route("/messages/{id}/raw", raw),
            Route("/api/messages", messages),
            Route("/api/messages/{id}", message),
            Route("/health/live", live),
        ]
    )
