"""Faults of ours are pages too: the database is away, or a defect is met."""

from collections.abc import Callable
from typing import cast
from zoneinfo import ZoneInfo

import httpx
import pytest
from billing.application.looking import OrderLooks
from billing.application.redeeming import Redeeming
from billing.domain.arrivals import Arrival
from billing.domain.offers import Offers
from billing.domain.orders import Order
from billing.http.pages.app import make_pages, pages_app
from billing.http.pages.buying import BuyPages
from billing.http.pages.orders import OrderPages
from chassis.postgres import DATABASE_ERRORS
from language.choice import Language
from language.presentation import Presentation


class BrokenLooks:
    """In place of what asks the database."""

    def __init__(self, error: Callable[[], Exception]) -> None:
        self._error = error

    async def visit(self, order_id: str) -> None:
        raise self._error()


async def _never_asked(order: Order) -> Arrival:
    raise AssertionError(order)


def app_with(error: Callable[[], Exception]) -> httpx.ASGITransport:
    presentation = Presentation(
        brand="IA SOLARIS",
        public_url="https://solaris.example",
        purchase_url="https://solaris.example/buy",
        default_language=Language.PORTUGUESE,
        time_zone=ZoneInfo("America/Sao_Paulo"),
    )
    pages = make_pages(presentation, ())
    offers = Offers(packages=[], plans=[])
    looks = cast("OrderLooks", BrokenLooks(error))
    buying = BuyPages(pages, offers, [], placing=None, redeeming=cast("Redeeming", None))  # nothing is sold here
    app = pages_app(pages, buying, OrderPages(pages, offers, [], looks, _never_asked))
    return httpx.ASGITransport(app, raise_app_exceptions=False)


async def seen(error: Callable[[], Exception]) -> httpx.Response:
    async with httpx.AsyncClient(transport=app_with(error), base_url="https://solaris.example") as browser:
        return await browser.get("/buy/order/ord_1")


@pytest.mark.parametrize("kind", DATABASE_ERRORS, ids=lambda kind: kind.__name__)
async def test_without_the_database_a_page_says_to_come_back(kind: type[Exception]) -> None:
    page = await seen(lambda: kind.__new__(kind))
    assert page.status_code == 503
    assert "Tente de novo em instantes." in page.text


async def test_a_defect_is_a_page_that_tells_nothing_of_it() -> None:
    page = await seen(lambda: RuntimeError("secret"))
    assert page.status_code == 500
    assert "Algo deu errado do nosso lado" in page.text
    assert "secret" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert page.headers["cache-control"] == "no-store"
