"""`/buy`: what is sold to whoever has a link, and the way to the payment."""

from collections.abc import Sequence
from datetime import UTC, datetime
from secrets import token_urlsafe
from typing import Final

from contracts.purchase_links import ExpiredLinkError, ForeignLinkError, read_purchase_link
from pages.forms import read_form
from pages.rendering import Pages
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from billing.application.errors import PurchasesOffError
from billing.application.placing import Placing, PurchaseRequest
from billing.domain.offers import Offers
from billing.http.callers import address_of
from billing.http.pages.counter import TOKENS_A_CHAT, counter_of
from billing.http.pages.troubles import Trouble, TroubleError, words_for

_MAX_KEY_LENGTH: Final = 64


class BuyPages:
    """`keys` verify links; without `placing`, purchases are off."""

    def __init__(self, pages: Pages, offers: Offers, keys: Sequence[bytes], placing: Placing | None) -> None:
        self._pages = pages
        self._offers = Offers(packages=offers.packages, plans=())  # plans can't be subscribed to yet
        self._keys = keys
        self._placing = placing

    async def show(self, request: Request) -> Response:
        """Uses nothing up: a link may be looked at by whatever looks at links."""
        if self._placing is None:
            raise PurchasesOffError
        token = request.query_params.get("t", "")
        self._account_of(token)
        language = self._pages.reader_of(request).language
        content = {
            "words": words_for(language).buy,
            "counter": counter_of(self._offers, request.query_params.get("currency"), language),
            "tokens_a_chat": TOKENS_A_CHAT,
            "token": token,
            "key": token_urlsafe(16),
        }
        return self._pages.answer(request, "buy.html.j2", content)

    async def buy(self, request: Request) -> Response:
        """Order what was chosen, and send its person to the payment; sent twice, one page orders a thing once."""
        if self._placing is None:
            raise PurchasesOffError
        form = await read_form(request)
        token = form.get("t", "")
        account_id = self._account_of(token)
        kind, _, chosen = form.get("choice", "").partition(":")
        if kind != "package":
            raise TroubleError(Trouble.NOT_SOLD)
        key = form.get("key", "")[:_MAX_KEY_LENGTH] or token_urlsafe(16)
        currency = form.get("currency", "")
        wanted = PurchaseRequest(
            package_id=chosen,
            account_id=account_id,
            currency=currency,
            locale=self._pages.reader_of(request).language,
            caller=f"link:{account_id}",
            idempotency_key=f"{key}:{chosen}:{currency}",
            link=token,
            address=address_of(request),
        )
        placed = await self._placing.place_order(wanted)
        return RedirectResponse(placed.checkout_url, status_code=303, headers={"cache-control": "no-store"})

    def _account_of(self, token: str) -> str:
        if not token:
            raise TroubleError(Trouble.NO_LINK)
        try:
            return read_purchase_link(token, self._keys, datetime.now(UTC))
        except ExpiredLinkError:
            raise TroubleError(Trouble.EXPIRED_LINK) from None
        except ForeignLinkError:
            raise TroubleError(Trouble.FOREIGN_LINK) from None
