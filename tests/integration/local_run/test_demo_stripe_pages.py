"""The demo Stripe's pages as a browser gets them: in both languages, a demo on each, nothing from elsewhere."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from local_run.demo_stripe.web.words import WORDS

from tests.support.demo_stripe import StripeStage, start_demo_stripe

HOSTILE = "<script>alert(1)</script>"


@pytest_asyncio.fixture
async def stage() -> AsyncIterator[StripeStage]:
    async with start_demo_stripe() as running:
        yield running


async def session_url(stage: StripeStage, **more: Any) -> str:
    price = {"currency": "brl", "unit_amount": 7_490, "product_data": {"name": f"500 mil tokens {HOSTILE}"}}
    parameters: Any = {
        "mode": "payment",
        "line_items": [{"price_data": price, "quantity": 1}],
        "success_url": "http://127.0.0.1:1/done?s={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1:1/buy",
        "allow_promotion_codes": True,
        **more,
    }
    return str((await stage.client.v1.checkout.sessions.create_async(parameters)).url)


def check(page: httpx.Response, word: str, language: str = "pt-BR") -> str:
    assert f'lang="{language}"' in page.text
    assert ("Demonstração" if language == "pt-BR" else "Demo") in page.text
    assert word in page.text
    assert HOSTILE not in page.text
    assert re.findall(r'(?:src|href)="(?!/|data:,|http://127\.0\.0\.1:)[^"]*"', page.text) == []
    assert "default-src 'none'" in page.headers["content-security-policy"]
    return page.text


async def test_the_session_s_locale_counts_before_the_browser_s(stage: StripeStage) -> None:
    english = {"accept-language": "en-GB,en;q=0.8"}
    check(await stage.http.get(await session_url(stage), headers=english), "R$ 74.90", "en")
    check(await stage.http.get(await session_url(stage, locale="pt-BR"), headers=english), "R$ 74,90")


async def test_each_button_that_the_page_shows_leads_on(stage: StripeStage) -> None:
    for method, outcome, status, place in (
        ("card", "paid", 303, "http://127.0.0.1:1/done?s=cs_test_"),
        ("card", "declined", 402, ""),
        ("pix", "paid", 303, "http://127.0.0.1:1/done?s=cs_test_"),
        ("pix", "later", 303, "/c/voucher/pi_"),
        ("boleto", "later", 303, "/c/voucher/pi_"),
        ("card", "expired", 200, ""),
    ):
        url = await session_url(stage)
        text = check(await stage.http.get(url), "R$ 74,90")
        assert f'value="{method}"' in text
        assert f'value="{outcome}"' in text
        answer = await stage.http.post(f"{url}/pay", data={"method": method, "outcome": outcome})
        assert (answer.status_code, answer.headers.get("location", "")[: len(place)]) == (status, place)


async def test_a_session_that_is_over_says_so_and_cannot_be_paid(stage: StripeStage) -> None:
    url = await session_url(stage)
    await stage.pay(url)
    check(await stage.http.get(url), "Este pagamento já foi concluído.")
    again = await stage.http.post(f"{url}/pay", json={"method": "card", "outcome": "paid"})
    assert again.status_code == 400
    assert (await stage.http.get(f"{stage.url}/c/pay/cs_test_nobody")).status_code == 404


async def test_a_promotion_code_is_taken_off_on_the_page(stage: StripeStage) -> None:
    coupon = await stage.client.v1.coupons.create_async({"percent_off": 50, "duration": "once"})
    promotion: Any = {"type": "coupon", "coupon": coupon.id}
    await stage.client.v1.promotion_codes.create_async({"promotion": promotion, "code": "METADE"})
    url = await session_url(stage)
    wrong = await stage.http.post(f"{url}/code", data={"promotion_code": "NADA"})
    assert wrong.status_code == 400
    await stage.http.post(f"{url}/code", data={"promotion_code": "metade"})
    check(await stage.http.get(url), "R$ 37,45")


@pytest.mark.parametrize("method", ["pix", "boleto"])
async def test_a_voucher_s_page_pays_it(stage: StripeStage, method: str) -> None:
    url = await session_url(stage)
    later = await stage.pay(url, method, "later")
    voucher = f"{stage.url}/c/voucher/{later['payment_intent']}"
    check(await stage.http.get(voucher), "Falta pagar")
    await stage.http.post(voucher, data={"outcome": "paid"})
    check(await stage.http.get(voucher), "Não há mais nada a pagar aqui.")


async def test_whoever_pays_says_an_address_where_none_is_known(stage: StripeStage) -> None:
    customer = await stage.client.v1.customers.create_async({"metadata": {"account_id": "ana"}})
    url = await session_url(stage, customer=customer.id)
    assert 'type="email"' in (await stage.http.get(url)).text
    await stage.http.post(f"{url}/pay", data={"method": "card", "outcome": "paid", "email": "ana@example.com"})
    assert (await stage.client.v1.customers.retrieve_async(customer.id)).email == "ana@example.com"
    assert 'type="email"' not in (await stage.http.get(await session_url(stage, customer=customer.id))).text


def test_both_languages_say_the_same() -> None:
    portuguese, english = WORDS.values()
    assert list(portuguese) == list(english)


async def test_a_receipt_shows_what_was_paid_and_given_back(stage: StripeStage) -> None:
    paid = await stage.pay(await session_url(stage))
    await stage.client.v1.refunds.create_async({"payment_intent": paid["payment_intent"], "amount": 490})
    (charge,) = (await stage.client.v1.charges.list_async()).data
    text = check(await stage.http.get(str(charge.receipt_url)), "R$ 74,90")
    assert "\N{MINUS SIGN}R$ 4,90" in text


async def test_the_demo_s_own_page_shows_sessions_events_and_endpoints(stage: StripeStage) -> None:
    await stage.pay(await session_url(stage))
    page = await stage.http.get(f"{stage.url}/demo", headers={"accept": "text/html"})
    check(page, "checkout.session.completed", "en")
    state = await stage.state()
    assert (state["counts"]["checkout.session"], state["sessions"][0]["status"]) == (1, "complete")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"&".join(b"a=1" for _ in range(100)), "application/x-www-form-urlencoded"),
        (b"[" * 5_000, "application/json"),
        (b"[1]", "application/json"),
        (b'{"method": {"a": 1}, "outcome": ["paid"]}', "application/json"),
        (b'{"method": "card", "outcome": "paid", "email": {"a": 1}, "promotion_code": ["x"]}', "application/json"),
        (b'{"method": "card", "outcome": "paid", "email": "\\ud800@x"}', "application/json"),
        (b"x" * 300_000, "application/x-www-form-urlencoded"),
    ],
)
async def test_a_body_that_makes_no_sense_is_refused(stage: StripeStage, body: bytes, kind: str) -> None:
    url = await session_url(stage)
    for path in (f"{url}/pay", f"{url}/code", f"{stage.url}/demo/cards", f"{stage.url}/v1/customers"):
        headers = {"content-type": kind, "authorization": f"Bearer {stage.demo.api_key}"}
        answer = await stage.http.post(path, content=body, headers=headers)
        assert 400 <= answer.status_code < 500, path
    assert (await stage.pay(url))["payment_status"] == "paid"


async def test_only_json_steers_the_demo_since_no_other_site_can_send_it_unasked(stage: StripeStage) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        sent = await stage.http.post(
            f"{stage.url}/demo/clock", content=b'{"advance_seconds": 60}', headers={"content-type": kind}
        )
        assert sent.status_code == 415
    assert (await stage.state())["ahead_seconds"] == 0


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("clock", {"advance_seconds": -1}),
        ("clock", {"advance_seconds": 1.5}),
        ("clock", {"advance_seconds": True}),
        ("clock", {"advance_seconds": 10**12}),
        ("cards", {"next": "stolen"}),
        ("cards", {}),
        ("deliveries", {"mode": "delay", "seconds": "5"}),
        ("faults", {"mode": "slow", "only": "PATCH"}),
        ("disputes", {"payment_intent": "pi_nobody"}),
        ("disputes/du_nobody", {"status": "won"}),
        ("payments/pi_nobody/complete", {"outcome": "paid"}),
        ("events/evt_nobody/send", {}),
    ],
)
async def test_what_the_demo_cannot_be_told_is_refused_and_changes_nothing(
    stage: StripeStage, path: str, told: dict[str, Any]
) -> None:
    before = await stage.state()
    answer = await stage.http.post(f"{stage.url}/demo/{path}", json=told)
    assert answer.status_code in (400, 404)
    after = await stage.state()
    assert (after["ahead_seconds"], after["steered"]) == (before["ahead_seconds"], before["steered"])


async def test_a_code_that_was_used_up_meanwhile_takes_nothing_off(stage: StripeStage) -> None:
    coupon = await stage.client.v1.coupons.create_async({"percent_off": 100, "duration": "once"})
    promotion: Any = {"type": "coupon", "coupon": coupon.id}
    await stage.client.v1.promotion_codes.create_async({"promotion": promotion, "code": "UMAVEZ", "max_redemptions": 1})
    urls = [await session_url(stage) for _ in range(2)]
    for url in urls:
        await stage.http.post(f"{url}/code", data={"promotion_code": "UMAVEZ"})
    first = await stage.pay(urls[0])
    assert (first["payment_status"], first["amount_total"]) == ("no_payment_required", 0)
    second = await stage.http.post(f"{urls[1]}/pay", json={"method": "card", "outcome": "paid"})
    assert second.status_code == 400
    check(await stage.http.get(urls[1]), "R$ 74,90")
