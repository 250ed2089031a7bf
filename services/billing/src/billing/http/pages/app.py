"""The pages below `/buy`: what is sold to whoever has a link, and how an order stands to whoever knows its id."""

from pathlib import Path
from typing import Final

import structlog
from chassis.postgres import DATABASE_ERRORS
from jinja2 import PackageLoader
from language.presentation import Presentation
from pages.assets import Assets
from pages.forms import FormError
from pages.rendering import Pages
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from billing.application.errors import BillingError
from billing.http.pages.buying import BuyPages
from billing.http.pages.orders import OrderPages
from billing.http.pages.troubles import TroubleError, trouble_of, words_for

log = structlog.get_logger()

_ASSETS: Final = "/buy/assets"


def make_pages(presentation: Presentation, form_targets: tuple[str, ...], chat_url: str | None = None) -> Pages:
    """The layout with billing's templates and files; a form's answer may lead to `form_targets`, where people pay."""
    assets = Assets(_ASSETS, Path(__file__).with_name("static"))
    return Pages(
        presentation, assets, PackageLoader("billing.http.pages"), form_targets=form_targets, chat_url=chat_url
    )


def pages_app(pages: Pages, buying: BuyPages, orders: OrderPages) -> Starlette:
    """Every error is a page too, which says what its reader may do."""

    async def troubled(request: Request, error: Exception) -> Response:
        trouble = trouble_of(error)
        language = pages.reader_of(request).language
        return pages.fault(request, trouble.status, trouble.fault_in(words_for(language)))

    async def refused(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return pages.fault(request, error.status_code, headers=error.headers)
        if isinstance(error, FormError):
            # What was sent is not read to its end, so nothing can follow it on this connection.
            return pages.fault(request, error.status, headers={"connection": "close"})
        return pages.fault(request, 500)

    async def away(request: Request, error: Exception) -> Response:
        log.warning("page_without_database", error=type(error).__name__)
        return pages.fault(request, 503)

    app = Starlette(
        routes=[
            Route("/buy", buying.show, methods=["GET"]),
            Route("/buy", buying.buy, methods=["POST"]),
            Route("/buy/voucher", buying.redeem, methods=["POST"]),
            Route("/buy/order/{order_id}", orders.show, methods=["GET"]),
            pages.assets.route,
        ],
        exception_handlers={
            TroubleError: troubled,
            BillingError: troubled,
            FormError: refused,
            HTTPException: refused,
            **dict.fromkeys(DATABASE_ERRORS, away),
            Exception: refused,
        },
    )
    # Its address would be made of what the client calls us, without TLS and without a proxy's prefix.
    app.router.redirect_slashes = False
    return app
