"""Prices without decimals and with three, from the catalog to the Checkout and back to the card."""

import html
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import stripe

from tests.support.billing import BillingStage, link_token, staged_billing

CATALOG = """
version = "1"
[plans.basic]
monthly_tokens = 1_000_000
[packages.small]
tokens = 500_000
prices = { jpy = 2_290, kwd = 4_590 }
"""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catalog") / "catalog.toml"
    path.write_text(CATALOG)
    return path


@pytest_asyncio.fixture(scope="module")
async def module_stage(migrated_url: str, nats_url: str, catalog: Path) -> AsyncIterator[BillingStage]:
    async with staged_billing(migrated_url, nats_url, catalog=catalog) as stage:
        yield stage


async def shown(stage: BillingStage, url: str, language: str, **parameters: str) -> str:
    answer = await stage.http.get(url, params=parameters or None, headers={"accept-language": language})
    return html.unescape(answer.text).replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("currency", "amount_minor", "told_in"),
    [
        ("jpy", 2_290, {"pt-BR": ("JPY 2.290", "JPY 4.580"), "en": ("JPY 2,290", "JPY 4,580")}),
        ("kwd", 4_590, {"pt-BR": ("KWD 4,590", "KWD 9,180"), "en": ("KWD 4.590", "KWD 9.180")}),
    ],
)
async def test_an_amount_is_the_same_wherever_it_is_told(
    stage: BillingStage, currency: str, amount_minor: int, told_in: dict[str, tuple[str, str]]
) -> None:
    for language, (price, of_a_million) in told_in.items():
        account = f"{currency}-{language}"
        page = await shown(stage, f"{stage.url}/buy", language, t=link_token(account), currency=currency)
        assert price in page
        assert of_a_million in page
        bought = await stage.buy(account, currency=currency, locale=language)
        assert price in await shown(stage, bought["checkout_url"], language)
        assert price in await shown(stage, f"{stage.url}/buy/order/{bought['order_id']}", language)
    paid = await stage.stripe.pay(bought["checkout_url"])
    order = await stage.reaches(bought["order_id"], "paid")
    assert (order["paid_minor"], order["currency"]) == (amount_minor, currency)
    refunds = stage.stripe.client.v1.refunds
    await refunds.create_async({"payment_intent": paid["payment_intent"], "amount": 10})
    await stage.has_in_books(account, granted=500_000, revoked=500_000 * 10 // amount_minor)
    await refunds.create_async({"payment_intent": paid["payment_intent"]})
    await stage.has_in_books(account, granted=500_000, revoked=500_000)


async def test_what_stripe_does_not_take_is_refused_there_too(stage: BillingStage) -> None:
    wanted = {"currency": "kwd", "unit_amount": 4_595, "product_data": {"name": "small"}}
    with pytest.raises(stripe.InvalidRequestError, match="multiples of 10"):
        await stage.stripe.client.v1.prices.create_async(wanted)  # type: ignore[arg-type]  # a plain dict
