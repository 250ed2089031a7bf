"""`/buy/order/{id}`: how an order stands, to whoever knows its id."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from contracts.purchase_links import CHAT_LINK_LIFETIME, sign_purchase_link
from language.choice import Language
from language.formats import format_count, format_long_date
from pages.rendering import Pages, format_unbroken_money
from starlette.requests import Request
from starlette.responses import Response

from billing.application.looking import OrderLooks
from billing.domain.arrivals import Arrival
from billing.domain.offers import Offers
from billing.domain.orders import Order
from billing.http.pages.order_sight import OrderSight, is_news, sight_of
from billing.http.pages.troubles import words_for
from billing.http.pages.words import OrderStage


class OrderPages:
    """The first of `keys` signs the link of who may try again; `fetch_arrival` asks the ledger."""

    def __init__(
        self,
        pages: Pages,
        offers: Offers,
        keys: Sequence[bytes],
        looks: OrderLooks,
        fetch_arrival: Callable[[Order], Awaitable[Arrival]],
    ) -> None:
        self._pages = pages
        self._offers = offers
        self._keys = keys
        self._looks = looks
        self._fetch_arrival = fetch_arrival

    async def show(self, request: Request) -> Response:
        """Nothing about its person, balance or history."""
        order = await self._looks.visit(request.path_params["order_id"])
        language = self._pages.reader_of(request).language
        now, words = datetime.now(UTC), words_for(language)
        arrival = await self._fetch_arrival(order) if is_news(order, now) else Arrival.AWAITED
        sight = sight_of(order, now, arrival)
        content = {
            "order": order,
            "sight": sight,
            "is_arriving": sight.stage is OrderStage.ARRIVING,
            "words": words.order,
            "situation": words.order.situations[sight.stage],
            "item": self._item(order, language),
            "price": format_unbroken_money(sight.price_minor, order.currency, language)
            if sight.price_minor
            else words.order.free,
            "taken_back": format_count(sight.taken_back, *words.buy.tokens, language) if sight.taken_back else "",
            "good_until": self._last_day(order, language),
            "retry_token": self._retry_token(order, sight),
        }
        return self._pages.answer(request, "order.html.j2", content)

    def _item(self, order: Order, language: Language) -> str:
        words = words_for(language)
        if order.gives_credits or order.plan is None:
            return format_count(order.tokens, *words.buy.tokens, language)
        plan = self._offers.plan(order.plan)
        return words.order.plan.format(name=plan.name(language) if plan else order.plan)

    def _last_day(self, order: Order, language: Language) -> str | None:
        if order.credits_expire_at is None:
            return None
        last = (order.credits_expire_at - timedelta(seconds=1)).astimezone(self._pages.presentation.time_zone)
        return format_long_date(last, language)

    def _retry_token(self, order: Order, sight: OrderSight) -> str | None:
        """A link for who may try again: no longer good than a chat's that was written when the order was placed."""
        expires_at = order.created_at + CHAT_LINK_LIFETIME
        if not sight.may_retry or not self._keys or expires_at <= datetime.now(UTC):
            return None
        return sign_purchase_link(order.account_id, expires_at, self._keys[0])
