"""Buying credits: an order, and the address at which it is paid."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from billing.application.errors import PurchasesOffError
from billing.application.placing import Placing, PurchaseRequest
from billing.domain.offers import Offer, Offers
from billing.http.callers import Callers
from billing.http.problems import ProblemError

_NOT_KEPT = {"cache-control": "no-store"}


class PurchaseBody(BaseModel):
    """What `POST /billing/purchase-credits` takes; `t` is the token of a purchase link, `payer_id` who pays for it."""

    model_config = ConfigDict(extra="forbid")

    package_id: Annotated[str, Field(min_length=1, max_length=64)]
    account_id: Annotated[str | None, Field(max_length=128)] = None
    payer_id: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")] = None
    t: Annotated[str | None, Field(max_length=256)] = None
    currency: Annotated[str | None, Field(pattern=r"^[a-z]{3}$")] = None
    locale: Annotated[str | None, Field(pattern=r"^(pt|en)([-_][A-Za-z]{2})?$")] = None


def purchase_routes(placing: Placing | None, callers: Callers, *, default_locale: str) -> APIRouter:
    """`POST /billing/purchase-credits`, for a service key or a purchase link; 503 where purchases are off."""
    router = APIRouter()

    @router.post("/billing/purchase-credits")
    async def purchase_credits(
        body: PurchaseBody,
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
                package_id=body.package_id,
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
