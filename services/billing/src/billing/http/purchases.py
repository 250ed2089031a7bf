"""Buying credits: an order, and the address at which it is paid."""

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from billing.application.errors import PurchasesOffError
from billing.domain.offers import Offer, Offers
from billing.http.fields import OfferName
from billing.http.wishes import IdempotencyKey, WishBody, Wishes


class PurchaseBody(WishBody):
    """What `POST /billing/purchase-credits` takes."""

    package_id: OfferName


def purchase_routes(wishes: Wishes) -> APIRouter:
    """`POST /billing/purchase-credits`, for a service key or a purchase link; 503 where purchases are off."""
    router = APIRouter()

    @router.post("/billing/purchase-credits")
    async def purchase_credits(
        body: PurchaseBody, request: Request, idempotency_key: IdempotencyKey = None
    ) -> JSONResponse:
        return await wishes.place(request, body, idempotency_key, package_id=body.package_id)

    return router


def offer_routes(offers: Offers, *, sells: bool) -> APIRouter:
    """`GET /billing/packages` and `/billing/plans`, in the currency that is asked for or each one's first."""
    router = APIRouter()

    @router.get("/billing/packages")
    async def list_packages(currency: str | None = None) -> list[dict[str, object]]:
        return _listed(sells, "tokens", offers.packages, currency)

    @router.get("/billing/plans")
    async def list_plans(currency: str | None = None) -> list[dict[str, object]]:
        return _listed(sells, "monthly_tokens", offers.plans, currency)

    return router


def _listed(sells: bool, tokens_are: str, offers: Sequence[Offer], currency: str | None) -> list[dict[str, object]]:
    if not sells:
        raise PurchasesOffError
    return [
        {
            "id": offer.id,
            tokens_are: offer.tokens,
            "amount_minor": offer.prices[shown],
            "currency": shown,
            "prices": dict(offer.prices),
            "names": dict(offer.names),
        }
        for offer in offers
        if (shown := currency or next(iter(offer.prices))) in offer.prices
    ]
