"""`/buy`: what is sold to whoever has a link, the way to the payment, and codes that are worth tokens."""

from collections.abc import Sequence
from datetime import UTC, datetime
from secrets import token_urlsafe
from typing import Final

from contracts.purchase_links import ExpiredLinkError, ForeignLinkError, read_purchase_link
from pages.forms import read_form
from pages.reader import stands_for
from pages.rendering import Pages
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from billing.application.errors import PurchasesOffError
from billing.application.placing import Placing, PurchaseRequest
from billing.application.redeeming import Redeemer, Redeeming, VoucherRefusedError
from billing.domain.offers import Offers
from billing.domain.voucher_codes import MAX_TYPED_LENGTH
from billing.domain.vouchers import VoucherRefusal
from billing.http.callers import address_of
from billing.http.pages.counter import TOKENS_A_CHAT, counter_of
from billing.http.pages.troubles import Trouble, TroubleError, words_for

_MAX_KEY_LENGTH: Final = 64
_NOTHING: Final = Offers(packages=[], plans=[])


class BuyPages:
    """`keys` verify links; without `placing`, purchases are off, and codes are redeemed all the same."""

    def __init__(
        self, pages: Pages, offers: Offers, keys: Sequence[bytes], *, placing: Placing | None, redeeming: Redeeming
    ) -> None:
        self._pages = pages
        self._offers = offers
        self._keys = keys
        self._placing = placing
        self._redeeming = redeeming

    async def show(self, request: Request) -> Response:
        """Uses nothing up: a link may be looked at by whatever looks at links."""
        token = request.query_params.get("t", "")
        self._account_of(token)
        return self._counter(request, token, request.query_params.get("currency"))

    async def buy(self, request: Request) -> Response:
        """Order what was chosen, and send its person to the payment; sent twice, one page orders a thing once."""
        form = await self._form_of(request)
        token = form.get("t", "")
        account_id = self._account_of(token)
        if self._placing is None:
            raise PurchasesOffError
        kind, _, chosen = form.get("choice", "").partition(":")
        currency = form.get("currency", "")
        if kind not in {"package", "plan"} or not currency:
            raise TroubleError(Trouble.NOT_SOLD)
        key = form.get("key", "")[:_MAX_KEY_LENGTH] or token_urlsafe(16)
        wanted = PurchaseRequest(
            package_id=chosen if kind == "package" else None,
            plan_id=chosen if kind == "plan" else None,
            account_id=account_id,
            currency=currency,
            locale=self._pages.reader_of(request).language,
            caller=f"link:{account_id}",
            idempotency_key=f"{key}:{kind}:{chosen}:{currency}",
            link=token,
            address=address_of(request),
        )
        placed = await self._placing.place_order(wanted)
        return RedirectResponse(placed.checkout_url, status_code=303, headers={"cache-control": "no-store"})

    async def redeem(self, request: Request) -> Response:
        """Give what a code is worth; one that gives nothing is told beside its field."""
        form = await self._form_of(request)
        token = form.get("t", "")
        typed = form.get("code", "")[:MAX_TYPED_LENGTH]
        redeemer = Redeemer(account_id=self._account_of(token), link=token, address=address_of(request))
        try:
            redeemed = await self._redeeming.redeem(typed, redeemer)
        except VoucherRefusedError as error:
            return self._counter(request, token, form.get("currency"), refusal=error.refusal, typed=typed)
        # Relative to `/buy/voucher`, whatever stands before it.
        return RedirectResponse(f"order/{redeemed.order.id}", status_code=303, headers={"cache-control": "no-store"})

    async def _form_of(self, request: Request) -> dict[str, str]:
        form = await read_form(request, self._pages.presentation.purchase_url)
        stands_for(request, "buy", [(name, form[name]) for name in ("t", "currency") if form.get(name)])
        return form

    def _counter(
        self,
        request: Request,
        token: str,
        currency: str | None,
        *,
        refusal: VoucherRefusal | None = None,
        typed: str = "",
    ) -> Response:
        language = self._pages.reader_of(request).language
        words = words_for(language).buy
        counter = counter_of(self._offers if self._placing else _NOTHING, currency, language)
        content = {
            "words": words,
            "counter": counter,
            "closed": None if counter.is_laid else words_for(language).purchases_off,
            "tokens_a_chat": TOKENS_A_CHAT,
            "token": token,
            "key": token_urlsafe(16),
            "voucher_fault": words.voucher_faults[refusal] if refusal else None,
            "code": typed,
        }
        if refusal is None:
            status = 200 if counter.is_laid else 503
        else:
            status = 429 if refusal is VoucherRefusal.TOO_MANY_ATTEMPTS else 422
        return self._pages.answer(request, "buy.html.j2", content, status=status)

    def _account_of(self, token: str) -> str:
        """Where purchases are off, nobody is sent for another link."""
        try:
            return read_purchase_link(token, self._keys, datetime.now(UTC))
        except ExpiredLinkError:
            trouble = Trouble.EXPIRED_LINK
        except ForeignLinkError:
            trouble = Trouble.FOREIGN_LINK if token else Trouble.NO_LINK
        raise PurchasesOffError if self._placing is None else TroubleError(trouble)
