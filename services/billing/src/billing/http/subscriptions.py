"""Subscribing to a plan, and the way to Stripe's own pages where a subscription is changed and invoices are found."""

from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from billing.application.errors import PurchasesOffError
from billing.application.placing import Placing, PurchaseRequest
from billing.application.portal import Portal
from billing.http.callers import Callers
from billing.http.problems import ProblemError

_NOT_KEPT = {"cache-control": "no-store"}
_ACCOUNT = r"^[A-Za-z0-9._:-]{1,128}$"
_LOCALE = r"^(pt|en)([-_][A-Za-z]{2})?$"


class SubscribeBody(BaseModel):
    """What `POST /billing/subscribe` takes; `t` is the token of a purchase link, `payer_id` who pays for it."""

    model_config = ConfigDict(extra="forbid")

    plan_id: Annotated[str, Field(min_length=1, max_length=64)]
    account_id: Annotated[str | None, Field(max_length=128)] = None
    payer_id: Annotated[str | None, Field(pattern=_ACCOUNT)] = None
    t: Annotated[str | None, Field(max_length=256)] = None
    currency: Annotated[str | None, Field(pattern=r"^[a-z]{3}$")] = None
    locale: Annotated[str | None, Field(pattern=_LOCALE)] = None


class PortalBody(BaseModel):
    """What `POST /billing/portal` takes; `account_id` is whoever pays, and `return_url` where they come back to."""

    model_config = ConfigDict(extra="forbid")

    account_id: Annotated[str, Field(pattern=_ACCOUNT)]
    return_url: Annotated[str | None, Field(pattern=r"^https?://[^\s]{1,500}$")] = None
    locale: Annotated[str | None, Field(pattern=_LOCALE)] = None


def subscribe_routes(placing: Placing | None, callers: Callers, *, default_locale: str) -> APIRouter:
    """`POST /billing/subscribe`, for a service key or a purchase link; 503 where purchases are off."""
    router = APIRouter()

    @router.post("/billing/subscribe")
    async def subscribe(
        body: SubscribeBody,
        request: Request,
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
    ) -> JSONResponse:
        if placing is None:
            raise PurchasesOffError
        caller = callers.identify(request, account_id=body.account_id, token=body.t)
        if body.payer_id is not None and caller.link is not None:
            raise ProblemError(403, "foreign_account", "Whoever has a link pays for its account.")
        placed = await placing.place_order(
            PurchaseRequest(
                plan_id=body.plan_id,
                account_id=caller.account_id,
                payer_id=body.payer_id,
                currency=body.currency,
                locale=body.locale or default_locale,
                caller=caller.name,
                idempotency_key=idempotency_key,
                link=caller.link,
                address=caller.address,
            )
        )
        answer = {"checkout_url": placed.checkout_url, "order_id": placed.order_id}
        return JSONResponse(answer, headers=_NOT_KEPT)

    return router


def portal_routes(portal: Portal | None, callers: Callers, *, default_locale: str) -> APIRouter:
    """`POST /billing/portal`, for a service key alone.

    A purchase link may stand in a conversation that was shared, and the portal shows invoices and ends subscriptions.
    """
    router = APIRouter()

    @router.post("/billing/portal")
    async def open_portal(body: PortalBody, request: Request) -> JSONResponse:
        if portal is None:
            raise PurchasesOffError
        caller = callers.identify(request, account_id=body.account_id, token=None)
        url = await portal.open(
            caller.account_id, return_url=body.return_url, locale=body.locale or default_locale, who=caller.name
        )
        return JSONResponse({"portal_url": url}, headers=_NOT_KEPT)

    return router
