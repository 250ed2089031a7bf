"""The pages below `/buy` on a real billing: what a browser, a scanner and a hostile client get."""

import asyncio
import html
import re
from collections.abc import Mapping
from datetime import timedelta
from secrets import token_hex
from urllib.parse import urlencode

import httpx
import pytest

from tests.support.billing import BillingStage, link_token
from tests.support.eventually import eventually

OF_A_FORM = (403, 405)
"""What a form's address answers to whoever comes without its fields."""
SAME_SITE = {"sec-fetch-site": "same-origin"}


async def get(stage: BillingStage, path: str, language: str = "pt-BR", **headers: str) -> httpx.Response:
    return await stage.http.get(f"{stage.url}{path}", headers={"accept-language": language, **headers})


async def send(
    stage: BillingStage, path: str, form: Mapping[str, str], headers: Mapping[str, str] = SAME_SITE
) -> httpx.Response:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return await stage.http.post(f"{stage.url}{path}", content=urlencode(form), headers={**kind, **headers})


async def choose(stage: BillingStage, token: str, choice: str = "package:small", **fields: str) -> httpx.Response:
    """What the button of an offer does."""
    form = {"t": token, "currency": "brl", "key": token_hex(8), "choice": choice} | fields
    return await send(stage, "/buy", form)


def heading(page: httpx.Response) -> str:
    (found,) = re.findall(r"<h1>(.*?)</h1>", page.text)
    return html.unescape(found)


async def orders(stage: BillingStage, account: str) -> list[dict[str, object]]:
    return await stage.rows("SELECT * FROM billing.orders WHERE account_id = $1 ORDER BY created_at", account)


async def test_a_choice_leads_to_the_checkout_of_an_order_of_the_links_account(stage: BillingStage) -> None:
    chosen = await choose(stage, link_token("chooser"), account_id="somebody-else", payer_id="somebody-else")
    assert chosen.status_code == 303
    assert chosen.headers["location"].startswith(f"{stage.stripe.url}/c/pay/cs_test_")
    assert chosen.headers["cache-control"] == "no-store"
    (order,) = await orders(stage, "chooser")
    assert (order["package_id"], order["amount_minor"], order["currency"]) == ("small", 7_490, "brl")
    assert order["payer_id"] is None
    assert await orders(stage, "somebody-else") == []


async def test_a_form_that_is_sent_twice_orders_once_and_never_again_what_was_paid(stage: BillingStage) -> None:
    token = link_token("twice")
    first = await choose(stage, token, key="one-page")
    again = await choose(stage, token, key="one-page")
    assert first.headers["location"] == again.headers["location"]
    await stage.stripe.pay(first.headers["location"])
    (order,) = await orders(stage, "twice")
    await stage.reaches(str(order["id"]), "paid")
    late = await choose(stage, token, key="one-page")
    assert late.headers["location"].endswith(f"/buy/order/{order['id']}")
    assert len(await orders(stage, "twice")) == 1
    other = await choose(stage, token, "package:medium", key="one-page")
    assert other.status_code == 303
    assert len(await orders(stage, "twice")) == 2


async def test_a_plan_is_subscribed_to_and_once(stage: BillingStage) -> None:
    token = link_token("subscriber")
    chosen = await choose(stage, token, "plan:basic")
    assert chosen.status_code == 303
    await stage.stripe.pay(chosen.headers["location"])
    (order,) = await orders(stage, "subscriber")
    await stage.reaches(str(order["id"]), "paid")
    page = await get(stage, f"/buy/order/{order['id']}")
    assert heading(page) == "Tudo certo com o pedido", "no ledger is there that says the chat works"
    assert f'content="1; url=../../buy/order/{order["id"]}"' in page.text, "a fragment would keep it as it is"
    assert "Plano Básico" in page.text
    again = await choose(stage, token, "plan:pro")
    assert again.status_code == 409
    assert heading(again) == "Esta conta já tem um plano"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"choice": "package:huge"}, 409),
        ({"choice": "plan:trial"}, 409),  # it has no price
        ({"choice": "voucher:x"}, 409),
        ({"choice": ""}, 409),
        ({"choice": "package:small\0"}, 409),
        ({"choice": "package:" + "x" * 4000}, 409),
        ({"currency": "jpy"}, 409),
        ({"currency": ""}, 409),
        ({"currency": "BRL'; --"}, 409),
        ({"t": ""}, 403),
        ({"t": "x" * 5000}, 403),
        ({"t": "\0"}, 403),
    ],
)
async def test_nothing_is_ordered_by_a_form_that_no_page_of_ours_has(
    stage: BillingStage, fields: dict[str, str], status: int
) -> None:
    answer = await choose(stage, link_token("hostile"), **fields)
    assert answer.status_code == status
    assert heading(answer)
    assert await orders(stage, "hostile") == []


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
async def test_another_site_orders_nothing_in_the_name_of_whoever_visits_it(
    stage: BillingStage, headers: dict[str, str]
) -> None:
    form = {"t": link_token("visited"), "currency": "brl", "choice": "package:small"}
    answer = await send(stage, "/buy", form, headers)
    assert answer.status_code == 403
    assert heading(answer) == "Este pedido veio de outro site"
    assert await orders(stage, "visited") == []


@pytest.mark.parametrize(
    ("query", "portuguese", "english"),
    [
        ("", "Abra esta página pelo seu link", "Open this page with your link"),
        ("?t=", "Abra esta página pelo seu link", "Open this page with your link"),
        ("?t=ana.x.y", "Este link não vale", "This link is not valid"),
        (f"?t={link_token('a', key='a key of somebody else')}", "Este link não vale", "This link is not valid"),
        (f"?t={link_token('a', lasts=timedelta(seconds=-1))}", "Este link expirou", "This link has expired"),
    ],
    ids=["without a token", "an empty one", "not one of ours", "of another key", "expired"],
)
async def test_a_link_that_opens_nothing_says_why_in_both_languages(
    stage: BillingStage, query: str, portuguese: str, english: str
) -> None:
    for language, words in (("pt-BR", portuguese), ("en", english)):
        page = await get(stage, f"/buy{query}", language)
        assert page.status_code == 403
        assert heading(page) == words
        assert page.headers["cache-control"] == "no-store"


async def test_looking_at_a_link_or_an_order_uses_nothing_up_and_tells_nothing_of_its_person(
    stage: BillingStage,
) -> None:
    token = link_token("looked-at")
    for _ in range(3):
        assert (await stage.http.head(f"{stage.url}/buy?t={token}")).status_code == 200
        page = await get(stage, f"/buy?t={token}")
        assert page.status_code == 200
    assert page.text.count("looked-at") == page.text.count(token) > 0
    assert await orders(stage, "looked-at") == []
    await choose(stage, token)
    (order,) = await orders(stage, "looked-at")
    for _ in range(3):
        assert (await stage.http.head(f"{stage.url}/buy/order/{order['id']}")).status_code == 200
        page = await get(stage, f"/buy/order/{order['id']}")
        assert "looked-at" not in page.text
    assert (await stage.row(str(order["id"])))["state"] == "open"


async def test_the_page_of_an_order_knows_of_its_payment_though_no_webhook_came(stage: BillingStage) -> None:
    await stage.stripe.deliveries("drop")
    chosen = await choose(stage, link_token("dropped"))
    await stage.stripe.pay(chosen.headers["location"])
    (order,) = await orders(stage, "dropped")

    async def told() -> bool:
        return heading(await get(stage, f"/buy/order/{order['id']}", "en")) == "Your order is complete"

    await eventually(told, 20.0, message="the page asks Stripe itself")
    await stage.has_in_books("dropped", granted=500_000)


async def test_a_payment_service_that_is_away_is_told_and_the_same_form_works_when_it_is_back(
    stage: BillingStage,
) -> None:
    token = link_token("patient")
    await stage.stripe.faults("down", times=100)
    answer = await choose(stage, token, key="patient-page")
    assert answer.status_code == 503
    assert heading(answer) == "O pagamento está fora do ar"
    assert (await get(stage, f"/buy?t={token}")).status_code == 200
    await stage.stripe.faults("none")
    assert (await choose(stage, token, key="patient-page")).status_code == 303
    assert len(await orders(stage, "patient")) == 1


async def test_who_could_not_pay_gets_a_link_that_ends_a_day_after_the_order(stage: BillingStage) -> None:
    chosen = await choose(stage, link_token("late"))
    await stage.stripe.pay(chosen.headers["location"], "card", "expired")
    (order,) = await orders(stage, "late")
    await stage.reaches(str(order["id"]), "expired")
    page = await get(stage, f"/buy/order/{order['id']}")
    assert heading(page) == "O pagamento não veio a tempo"
    (retry,) = re.findall(r'href="\.\./\.\./(buy\?t=[^"]*)"', page.text)
    assert (await get(stage, "/" + html.unescape(retry))).status_code == 200
    await stage.rows(
        "UPDATE billing.orders SET created_at = created_at - interval '24 hours' WHERE id = $1", order["id"]
    )
    assert "buy?t=" not in (await get(stage, f"/buy/order/{order['id']}")).text


@pytest.mark.parametrize("path", ["/buy/order/ord_0", "/buy/order/" + "x" * 3000, "/buy/order/%00"])
async def test_an_order_that_is_none_is_not_found(stage: BillingStage, path: str) -> None:
    page = await get(stage, path)
    assert page.status_code == 404
    assert "<h1>" in page.text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/buy/nowhere", 404), ("PUT", "/buy", 405), ("GET", "/buy/voucher", 405)]
)
async def test_what_is_no_page_is_told_as_one(stage: BillingStage, method: str, path: str, status: int) -> None:
    page = await stage.http.request(method, f"{stage.url}{path}")
    assert page.status_code == status
    assert page.headers["content-type"].startswith("text/html")
    assert heading(page)


@pytest.mark.parametrize("path", ["/buy", "/buy/voucher"])
async def test_a_form_that_is_too_large_or_too_slow_is_told_as_a_page_and_read_no_further(
    stage: BillingStage, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("pages.forms.FORM_SECONDS", 0.2)
    for length, sent, status in ((9_000, b"t=" + b"x" * 8_998, 413), (100, b"t=", 408)):
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.settings.billing_port)
        kind = "content-type: application/x-www-form-urlencoded"
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\n{kind}\r\ncontent-length: {length}\r\n\r\n"
        writer.write(head.encode() + sent)
        async with asyncio.timeout(10):
            answer = (await reader.read()).decode()  # to the end of the connection
        assert answer.startswith(f"HTTP/1.1 {status}")
        assert "<h1>Não entendemos este pedido</h1>" in answer
        writer.close()


async def test_codes_that_are_guessed_are_told_beside_the_field_and_slowed_down(stage: BillingStage) -> None:
    token = link_token("guesser")
    statuses = []
    for number in range(12):
        form = {"t": token, "code": f"AAAA-AAAA-AAA{number}", "currency": "usd"}
        page = await send(stage, "/buy/voucher", form)
        statuses.append(page.status_code)
        assert heading(page) == "Comprar créditos"
        assert 'role="alert"' in page.text
        assert "US$" in page.text
    assert set(statuses) <= {422, 429}
    assert await orders(stage, "guesser") == []


@pytest.mark.parametrize("path", ["/buy", "/buy/order/{order}", "/buy/nowhere/at/all"])
async def test_behind_a_proxy_with_any_prefix_every_link_of_a_page_leads_to_what_we_serve(
    stage: BillingStage, path: str
) -> None:
    token = link_token("proxied")
    await choose(stage, token)
    (order,) = await orders(stage, "proxied")
    asked = path.format(order=order["id"]) + f"?t={token}"
    page = await get(stage, asked)
    outside = httpx.URL("https://proxy.example/shop" + asked)
    found = [html.unescape(each) for each in re.findall(r'(?:href|src|action|data-url)="([^"]+)"', page.text)]
    for reference in found:
        if reference.startswith(("data:", "#", stage.stripe.url)):
            continue
        target = outside.join(reference)
        assert target.host == "proxy.example", reference
        assert target.path.startswith("/shop/"), reference
        answer = await get(stage, str(target.raw_path.decode()).removeprefix("/shop"))
        assert answer.status_code in {200, page.status_code, *OF_A_FORM}, reference


@pytest.mark.parametrize(
    "path", ["/buy/", "/buy/order/ord_1/", "/buy/voucher/", "/billing/packages/", "/billing/orders/ord_1/"]
)
async def test_nobody_is_led_to_where_the_client_says_we_are(stage: BillingStage, path: str) -> None:
    answer = await stage.http.get(f"{stage.url}{path}", headers={"host": "evil.example"}, follow_redirects=False)
    assert (answer.status_code, answer.headers.get("location")) == (404, None)
