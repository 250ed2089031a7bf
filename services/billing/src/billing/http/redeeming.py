"""Redeeming a voucher's code."""

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from billing.application.redeeming import Redeemer, Redeeming
from billing.domain.voucher_codes import MAX_TYPED_LENGTH
from billing.http.callers import Callers
from billing.http.fields import NOT_KEPT, AccountId, LinkToken


class RedeemBody(BaseModel):
    """What `POST /billing/redeem` takes; `t` is the token of a purchase link."""

    model_config = ConfigDict(extra="forbid")

    code: Annotated[str, Field(min_length=1, max_length=MAX_TYPED_LENGTH)]
    account_id: AccountId | None = None
    t: LinkToken = None


def redeem_routes(redeeming: Redeeming, callers: Callers) -> APIRouter:
    """`POST /billing/redeem`, for a service key or a purchase link; also where nothing is sold."""
    router = APIRouter()

    @router.post("/billing/redeem")
    async def redeem(body: RedeemBody, request: Request) -> JSONResponse:
        caller = callers.identify(request, account_id=body.account_id, token=body.t)
        redeemer = Redeemer(account_id=caller.account_id, link=caller.link, address=caller.address)
        redeemed = await redeeming.redeem(body.code, redeemer)
        order = redeemed.order
        answer = {
            "order_id": order.id,
            "state": order.state.value,
            "tokens": order.tokens,
            "expires_at": order.credits_expire_at.isoformat() if order.credits_expire_at else None,
            "already_redeemed": not redeemed.is_new,
        }
        return JSONResponse(answer, headers=NOT_KEPT)

    return router
