"""Auto top-up over HTTP, and the card that it needs: for services alone, never for a link that may be shared."""

from typing import Annotated

from contracts.limits import MAX_INTEGER
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from msgspec import to_builtins
from pydantic import BaseModel, ConfigDict, Field

from billing.application.errors import PurchasesOffError
from billing.application.saving_cards import SavingCards
from billing.application.top_up_settings import TopUpSettings, TopUpView
from billing.http.callers import Callers
from billing.http.fields import NOT_KEPT, AccountId, Currency, Locale, OfferName, ReturnUrl


class TopUpBody(BaseModel):
    """What `PUT /billing/accounts/{id}/top-up` takes; the cap is in the smallest unit of the currency, each month."""

    model_config = ConfigDict(extra="forbid")

    package_id: OfferName
    below_tokens: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    monthly_cap_minor: Annotated[int | None, Field(ge=1, le=99_999_999_999)] = None
    currency: Currency = None
    payer_id: AccountId | None = None


class CardBody(BaseModel):
    """What `POST /billing/accounts/{id}/card` takes: where the person comes back to."""

    model_config = ConfigDict(extra="forbid")

    return_url: ReturnUrl = None
    locale: Locale = None


def top_up_routes(
    settings: TopUpSettings | None, cards: SavingCards | None, callers: Callers, *, default_locale: str
) -> APIRouter:
    """`GET`, `PUT` and `DELETE /billing/accounts/{id}/top-up`, and `POST …/card`; 503 where purchases are off."""
    router = APIRouter()

    def checked(request: Request, account_id: str) -> tuple[TopUpSettings, SavingCards, str]:
        caller = callers.identify(request, account_id=account_id, token=None)
        if settings is None or cards is None:
            raise PurchasesOffError
        return settings, cards, caller.name

    @router.get("/billing/accounts/{account_id}/top-up")
    async def show_top_up(account_id: AccountId, request: Request) -> JSONResponse:
        top_ups, _, _ = checked(request, account_id)
        return _answer(await top_ups.show(account_id))

    @router.put("/billing/accounts/{account_id}/top-up")
    async def set_top_up(account_id: AccountId, body: TopUpBody, request: Request) -> JSONResponse:
        top_ups, _, who = checked(request, account_id)
        set_as_told = await top_ups.set(
            account_id,
            package_id=body.package_id,
            below_tokens=body.below_tokens,
            monthly_cap_minor=body.monthly_cap_minor,
            currency=body.currency,
            payer_id=body.payer_id,
            who=who,
        )
        return _answer(set_as_told)

    @router.delete("/billing/accounts/{account_id}/top-up")
    async def turn_off_top_up(account_id: AccountId, request: Request) -> JSONResponse:
        top_ups, _, who = checked(request, account_id)
        return _answer(await top_ups.turn_off(account_id, who=who))

    @router.post("/billing/accounts/{account_id}/card")
    async def save_card(account_id: AccountId, body: CardBody, request: Request) -> JSONResponse:
        _, saving, _ = checked(request, account_id)
        url = await saving.open(account_id, return_url=body.return_url, locale=body.locale or default_locale)
        return JSONResponse({"checkout_url": url}, headers=NOT_KEPT)

    return router


def _answer(view: TopUpView) -> JSONResponse:
    return JSONResponse(to_builtins(view), headers=NOT_KEPT)
