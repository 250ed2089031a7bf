"""Redeeming a voucher's code."""

from typing import Annotated, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from billing.application.redeeming import Redeemer, Redeeming, VoucherRefusedError
from billing.domain.voucher_codes import MAX_TYPED_LENGTH
from billing.domain.vouchers import VoucherRefusal
from billing.http.callers import Callers
from billing.http.fields import NOT_KEPT
from billing.http.problems import ProblemError

_ANSWERS: Final = {
    VoucherRefusal.MISTYPED: (422, "voucher_mistyped", "This is no code: look for a letter that is mistyped."),
    VoucherRefusal.UNKNOWN: (404, "voucher_unknown", "There is no such code."),
    VoucherRefusal.EXPIRED: (410, "voucher_expired", "The last day of this code is over."),
    VoucherRefusal.USED_UP: (410, "voucher_used_up", "This code was used as often as it can be."),
    VoucherRefusal.TOO_MANY_ATTEMPTS: (429, "rate_limited", "Too many codes were tried here lately; try again later."),
}
"""Status, code and sentence; the last one is the same whatever the code is worth."""
_RETRY_AFTER: Final = {"retry_after": "360"}
"""Seconds."""


class RedeemBody(BaseModel):
    """What `POST /billing/redeem` takes; `t` is the token of a purchase link."""

    model_config = ConfigDict(extra="forbid")

    code: Annotated[str, Field(min_length=1, max_length=MAX_TYPED_LENGTH)]
    account_id: Annotated[str | None, Field(max_length=128)] = None
    t: Annotated[str | None, Field(max_length=256)] = None


def redeem_routes(redeeming: Redeeming, callers: Callers) -> APIRouter:
    """`POST /billing/redeem`, for a service key or a purchase link; also where nothing is sold."""
    router = APIRouter()

    @router.post("/billing/redeem")
    async def redeem(body: RedeemBody, request: Request) -> JSONResponse:
        caller = callers.identify(request, account_id=body.account_id, token=body.t)
        redeemer = Redeemer(account_id=caller.account_id, link=caller.link, address=caller.address)
        try:
            redeemed = await redeeming.redeem(body.code, redeemer)
        except VoucherRefusedError as error:
            raise _problem(error) from error
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


def _problem(error: VoucherRefusedError) -> ProblemError:
    status, code, detail = _ANSWERS[error.refusal]
    return ProblemError(status, code, detail, **(_RETRY_AFTER if status == 429 else {}))
