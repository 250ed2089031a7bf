"""Subscribing to a plan, and the way to Stripe's own pages where a subscription is changed and invoices are found."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from billing.application.errors import PurchasesOffError
from billing.application.portal import Portal
from billing.http.callers import Callers
from billing.http.fields import NOT_KEPT, AccountId, Locale, OfferName, ReturnUrl
from billing.http.wishes import IdempotencyKey, WishBody, Wishes


class SubscribeBody(WishBody):
    """What `POST /billing/subscribe` takes."""

    plan_id: OfferName


class PortalBody(BaseModel):
    """What `POST /billing/portal` takes; `account_id` is whoever pays."""

    model_config = ConfigDict(extra="forbid")

    account_id: AccountId
    return_url: ReturnUrl = None
    locale: Locale = None


def subscribe_routes(wishes: Wishes) -> APIRouter:
    """`POST /billing/subscribe`, for a service key or a purchase link; 503 where purchases are off."""
    router = APIRouter()

    @router.post("/billing/subscribe")
    async def subscribe(body: SubscribeBody, request: Request, idempotency_key: IdempotencyKey = None) -> JSONResponse:
        return await wishes.place(request, body, idempotency_key, plan_id=body.plan_id)

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
        return JSONResponse({"portal_url": url}, headers=NOT_KEPT)

    return router
