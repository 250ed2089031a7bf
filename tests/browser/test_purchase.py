"""From a refused chat to a paid one, in a browser on the real stack."""

import json
import re
import time
from collections.abc import Callable

import pytest
from playwright.async_api import expect

from tests.browser.backstage import demo_stripe_code, orders_of, webhook_time
from tests.browser.conftest import NewShopper, Tell
from tests.browser.shopper import Look, Shopper
from tests.support.eventually import eventually
from tests.support.stack import CHAT_URL, Stack

LOOKS = [
    Look(language="pt-BR", width=390, scheme="light"),
    Look(language="en-US", width=390, scheme="dark"),
    Look(language="pt-BR", width=1280, scheme="dark"),
    Look(language="en-US", width=1280, scheme="light"),
]
SMALL = re.compile(r"(Comprar Pequeno|Buy Small)")
LIGHT, DARK = "rgb(249, 250, 251)", "rgb(17, 24, 39)"
"""Behind Tabler's pages."""
SECONDS_AFTER_WEBHOOK: list[float] = []
DONE = ("Pronto! Seu chat voltou a funcionar", "Done! Your chat works again")


def look_name(look: Look) -> str:
    return f"{look.language}-{look.width}-{look.scheme}"


async def refused(shopper: Shopper) -> None:
    shopper.stack.limit(shopper.account, 0)
    assert await shopper.is_refused()


async def at_checkout(shopper: Shopper) -> None:
    await refused(shopper)
    await shopper.follow_link()
    await shopper.choose(SMALL)


@pytest.mark.parametrize("look", LOOKS, ids=look_name)
async def test_a_refused_chat_is_paid_and_goes_on_within_a_minute_and_four_clicks(
    stack: Stack, account: str, new_shopper: NewShopper, look: Look, tell: Tell
) -> None:
    shopper = await new_shopper(account, look)
    began = time.monotonic()
    await refused(shopper)
    await shopper.follow_link()
    await shopper.sees(look.say("Comprar créditos", "Buy credits"))
    assert not await shopper.overflows()
    assert await shopper.small_targets() == []
    price = look.say("R$\N{NO-BREAK SPACE}74,90", "R$\N{NO-BREAK SPACE}74.90")
    await expect(shopper.page.locator("li.offer").first).to_contain_text(price)
    await shopper.choose(SMALL)
    await shopper.pay("card", "paid")
    served_at = await shopper.wait_until_served()
    await shopper.sees(look.say(*DONE))
    assert not await shopper.overflows()
    assert await shopper.small_targets() == []
    order_id = shopper.page.url.rpartition("/")[2].partition("?")[0]
    await shopper.click(shopper.page.get_by_role("link", name=look.say("Voltar ao chat", "Back to the chat")))
    await expect(shopper.page).to_have_url(CHAT_URL)
    assert not await shopper.is_refused()
    whole_seconds = time.monotonic() - began
    after_webhook = served_at - (await webhook_time(stack, order_id)).timestamp()
    tell(f"{look_name(look)}: {whole_seconds:.1f} s, {shopper.clicks} clicks, {after_webhook:.2f} s after the webhook")
    SECONDS_AFTER_WEBHOOK.append(after_webhook)
    assert shopper.clicks <= 4
    assert whole_seconds < 60
    assert shopper.complaints == []
    assert stack.balance(account)["credits"] > 490_000


async def test_the_next_chat_was_answered_within_two_seconds_of_the_webhook() -> None:
    """Of those just before, one at least: what else runs on the machine is not asked for."""
    if not SECONDS_AFTER_WEBHOOK:
        pytest.skip("nobody has paid in this run")
    assert min(SECONDS_AFTER_WEBHOOK) < 2


async def test_the_link_in_a_mail_leads_to_the_same_page(stack: Stack, account: str, new_shopper: NewShopper) -> None:
    shopper = await new_shopper(account, Look())
    await refused(shopper)
    (mail,) = await eventually(lambda: stack.mails(account, "tokens-exhausted"), 30.0, message="mail")
    (link,) = re.findall(r"http://\S+/buy\?t=\S+", stack.mail(mail["id"])["text"])
    await shopper.page.goto(link)
    await shopper.sees("Comprar créditos")


@pytest.mark.parametrize("method", ["pix", "boleto"])
async def test_who_pays_later_sees_the_order_wait_and_then_the_chat_work(
    stack: Stack, account: str, new_shopper: NewShopper, method: str
) -> None:
    shopper = await new_shopper(account, Look())
    await at_checkout(shopper)
    await shopper.pay(method, "later")
    voucher = shopper.page
    shopper.page = await shopper.open_order()
    await shopper.sees("Aguardando a confirmação do pagamento")
    assert await shopper.is_refused_meanwhile()
    await voucher.locator('button[value="paid"]').click()
    await shopper.sees(DONE[0])  # by itself
    await shopper.wait_until_served()
    assert shopper.complaints == []


async def test_a_boleto_that_nobody_pays_is_told_and_may_be_tried_again(
    stack: Stack, account: str, new_shopper: NewShopper
) -> None:
    shopper = await new_shopper(account, Look(language="en-US", width=1280))
    await at_checkout(shopper)
    await shopper.pay("boleto", "later")
    voucher = shopper.page
    shopper.page = await shopper.open_order()
    await shopper.sees("Waiting for the payment to be confirmed")
    await voucher.locator('button[value="failed"]').click()
    await shopper.sees("The payment was not approved")
    await shopper.click(shopper.page.get_by_role("link", name="Try again"))
    await shopper.sees("Buy credits")
    await shopper.choose(SMALL)
    await shopper.pay("card", "paid")
    await shopper.sees(DONE[1])


async def test_a_declined_card_costs_nothing_and_the_same_order_can_still_be_paid(
    stack: Stack, account: str, new_shopper: NewShopper
) -> None:
    shopper = await new_shopper(account, Look(scheme="dark"))
    await at_checkout(shopper)
    await shopper.pay("card", "declined")
    await expect(shopper.page.get_by_role("alert")).to_be_visible()
    assert await shopper.is_refused_meanwhile()
    checkout = shopper.page
    shopper.page = await shopper.open_order()
    await shopper.sees("Falta só o pagamento")
    await shopper.click(shopper.page.get_by_role("link", name="Ir para o pagamento"))
    await expect(shopper.page).to_have_url(re.compile(re.escape(checkout.url.removesuffix("/pay"))))
    await shopper.pay("card", "paid")
    await shopper.sees(DONE[0])
    await shopper.wait_until_served()


async def test_what_was_not_paid_in_time_is_told_and_may_be_tried_again_in_the_same_currency(
    stack: Stack, account: str, new_shopper: NewShopper
) -> None:
    shopper = await new_shopper(account, Look(language="en-US"))
    await refused(shopper)
    await shopper.follow_link()
    await shopper.click(shopper.page.get_by_role("link", name="US$", exact=True))
    await expect(shopper.page.locator("li.offer").first).to_contain_text("US$\N{NO-BREAK SPACE}14.90")
    await shopper.choose(SMALL)
    await shopper.page.locator('button[value="expired"]').click()
    shopper.page = await shopper.open_order()
    await shopper.sees("The payment did not come in time")
    await shopper.click(shopper.page.get_by_role("link", name="Try again"))
    await expect(shopper.page.locator("li.offer").first).to_contain_text("US$\N{NO-BREAK SPACE}14.90")


async def test_an_order_that_a_coupon_makes_free_is_credited_all_the_same(
    stack: Stack, account: str, new_shopper: NewShopper
) -> None:
    code = f"FREE{account[:6].upper()}"
    demo_stripe_code(stack, code, percent_off=100)
    shopper = await new_shopper(account, Look())
    await at_checkout(shopper)
    await shopper.page.locator('input[name="promotion_code"]').fill(code)
    await shopper.page.locator('form[action$="/code"] button').click()
    await shopper.pay("card", "paid")
    await shopper.sees(DONE[0])
    await expect(shopper.page.locator("#order")).to_contain_text("sem custo")
    await shopper.wait_until_served()
    assert stack.wait_settled(account)["credits"] > 490_000


async def test_a_plan_is_subscribed_to_and_its_allowance_is_there(
    stack: Stack, account: str, new_shopper: NewShopper
) -> None:
    shopper = await new_shopper(account, Look())
    await refused(shopper)
    await shopper.follow_link()
    await shopper.choose(re.compile("Assinar Básico"))
    await shopper.pay("card", "paid")
    await shopper.sees(DONE[0])
    await expect(shopper.page.locator("#order")).to_contain_text("Plano Básico")
    await shopper.wait_until_served()
    balance = stack.wait_settled(account)
    assert (balance["plan"], balance["monthly_limit"], balance["credits"]) == ("basic", 1_000_000, 0)
    assert shopper.complaints == []


async def test_a_code_is_worth_tokens_and_one_that_is_mistyped_is_told_beside_its_field(
    stack: Stack, account: str, new_shopper: NewShopper
) -> None:
    made = stack.operate("vouchers", TOKENS=50_000, COUNT=1, EXPIRES_DAYS=90, REASON="a test")
    code = json.loads(made.stdout.splitlines()[0])["code"]
    shopper = await new_shopper(account, Look(language="en-US", scheme="dark"))
    await refused(shopper)
    await shopper.follow_link()
    await shopper.page.get_by_text("I have a code for credits").click()
    await shopper.page.get_by_label("Code").fill(code[:-1])
    await shopper.page.get_by_role("button", name="Use the code").click()
    await expect(shopper.page.get_by_role("alert")).to_have_text("This code is mistyped. Check every letter.")
    await shopper.sees("Buy credits")
    await shopper.page.get_by_label("Code").fill(code)
    await shopper.page.get_by_role("button", name="Use the code").click()
    await shopper.sees(DONE[1])
    await expect(shopper.page.locator("#order")).to_contain_text("free of charge")
    await expect(shopper.page.locator("#order")).to_contain_text("Good until")
    await shopper.wait_until_served()
    assert stack.wait_settled(account)["credits"] > 40_000


async def test_all_of_it_works_without_a_script(stack: Stack, account: str, new_shopper: NewShopper) -> None:
    shopper = await new_shopper(account, Look(scripts=False, scheme="dark"))
    await refused(shopper)
    await shopper.follow_link()
    await shopper.sees_background(DARK)
    await shopper.click(shopper.page.get_by_role("link", name="Usar cores claras"))
    await shopper.sees_background(LIGHT)
    await shopper.click(shopper.page.get_by_role("link", name="English"))
    await shopper.sees("Buy credits")
    await shopper.sees_background(LIGHT)
    await shopper.choose(SMALL)
    await shopper.pay("boleto", "later")
    voucher = shopper.page
    shopper.page = await shopper.open_order()
    await shopper.sees("Waiting for the payment to be confirmed")
    await voucher.locator('button[value="paid"]').click()
    await expect(shopper.page.get_by_role("heading", level=1)).to_have_text(DONE[1], timeout=30_000)


async def test_what_looks_at_links_before_people_do_uses_nothing_up(
    stack: Stack, account: str, new_shopper: NewShopper
) -> None:
    shopper = await new_shopper(account, Look())
    await refused(shopper)
    link = shopper.link
    for _ in range(3):
        assert (await shopper.context.request.head(link)).status == 200
        assert (await shopper.context.request.get(link)).status == 200
    assert await orders_of(stack, account) == []
    await shopper.follow_link()
    await shopper.choose(SMALL)


@pytest.mark.parametrize(
    ("spoil", "heading"),
    [
        (lambda link: link[:-1] + ("0" if link[-1] != "0" else "1"), "Este link não vale"),
        (lambda link: link[:-30], "Este link não vale"),
        (lambda link: link.partition("?")[0], "Abra esta página pelo seu link"),
        (lambda link: link.partition("?")[0] + "/order/ord_0", "Pedido não encontrado"),
        (lambda link: link.partition("?")[0] + "/nowhere/at/all", "Página não encontrada"),
    ],
)
async def test_a_link_that_is_none_is_answered_in_plain_words(
    stack: Stack, account: str, new_shopper: NewShopper, spoil: Callable[[str], str], heading: str
) -> None:
    shopper = await new_shopper(account, Look())
    await refused(shopper)
    await shopper.page.goto(spoil(shopper.link))
    await shopper.sees(heading)
    assert not await shopper.overflows()
