"""What a package and a plan are both asked for with, and how both are placed and answered."""

from typing import Annotated

from fastapi import Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from billing.application.errors import PurchasesOffError
from billing.application.placing import Placing, PurchaseRequest
from billing.http.callers import Callers
from billing.http.fields import NOT_KEPT, AccountId, Currency, LinkToken, Locale
from billing.http.problems import ProblemError

IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]


class WishBody(BaseModel):
    """`t` is the token of a purchase link, for whose account it is; `payer_id` pays for `account_id`."""

    model_config = ConfigDict(extra="forbid")

    account_id: AccountId | None = None
    payer_id: AccountId | None = None
    t: LinkToken = None
    currency: Currency = None
    locale: Locale = None


class Wishes:
    """Places what services and whoever has a link wish for; without `placing`, purchases are off."""

    def __init__(self, placing: Placing | None, callers: Callers, *, default_locale: str) -> None:
        self._placing = placing
        self._callers = callers
        self._default_locale = default_locale

    async def place(
        self,
        request: Request,
        body: WishBody,
        idempotency_key: str | None,
        *,
        package_id: str | None = None,
        plan_id: str | None = None,
    ) -> JSONResponse:
        """`{checkout_url, order_id}`; raises ProblemError and BillingError."""
        if self._placing is None:
            raise PurchasesOffError
        caller = self._callers.identify(request, account_id=body.account_id, token=body.t)
        if body.payer_id is not None and caller.link is not None:
            raise ProblemError(403, "foreign_account", "Whoever has a link pays for its account.")
        placed = await self._placing.place_order(
            PurchaseRequest(
                package_id=package_id,
                plan_id=plan_id,
                account_id=caller.account_id,
                payer_id=body.payer_id,
                currency=body.currency,
                locale=body.locale or self._default_locale,
                caller=caller.name,
                idempotency_key=idempotency_key,
                link=caller.link,
                address=caller.address,
            )
        )
        return JSONResponse({"checkout_url": placed.checkout_url, "order_id": placed.order_id}, headers=NOT_KEPT)
