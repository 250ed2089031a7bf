"""Without keys of Stripe's and without its demo nothing is sold, and nothing pretends that it is."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import openai
import pytest
from contracts.purchase_links import sign_purchase_link

from tests.support.eventually import eventually_blocking
from tests.support.stack import NewStack


def test_where_nothing_is_sold_no_notice_or_mail_speaks_of_it_and_the_page_says_so(new_stack: NewStack) -> None:
    stack = new_stack({"SOLARIS_DEMO_STRIPE": "off", "SOLARIS_ALERT_WINDOW_SECONDS": "0.5"}).start()
    stack.limit("ana", 1_000)
    client = stack.client("ana", **{"X-Solaris-Notices": "chat"})
    question: Any = [{"role": "user", "content": "Olá!"}]
    client.chat.completions.create(model="demo-usage:900:0:60", messages=question)
    stack.wait_settled("ana")  # a hold leaves some of what it will have used
    with pytest.raises(openai.APIStatusError) as refused:
        client.chat.completions.create(model="demo-fast", messages=question)
    error: Any = refused.value.body
    assert error["details"]["purchase_url"] is None
    stream = client.chat.completions.create(model="demo-fast", messages=question, stream=True)
    notice = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    eventually_blocking(lambda: "tokens-exhausted" in stack.told("ana"), 20, message="mail")
    mails = [stack.mail(summary["id"])["text"] for summary in stack.mails("ana")]
    for text in (error["message"], notice, *mails):
        assert "compr" not in text.lower()
        assert "/buy" not in text
    billing = f"http://127.0.0.1:{stack.ports['billing']}"
    for path in ("/buy", "/buy?t=ana.x.y"):
        page = httpx.get(f"{billing}{path}", headers={"accept-language": "en"})
        assert (page.status_code, "Purchases are off" in page.text) == (503, True)
    sent = httpx.post(f"{billing}/buy", data={"t": "x", "choice": "package:small"})
    assert sent.status_code == 503
    assert httpx.get(f"{billing}/billing/packages").status_code == 503
    # A code costs nothing, so it is worth its tokens all the same: where the link of an earlier mail leads.
    key = json.loads((stack.directory / "secrets.json").read_bytes())["link_keys"]
    token = sign_purchase_link("ana", datetime.now(UTC) + timedelta(hours=1), key.encode())
    made = stack.operate("vouchers", TOKENS=50_000, COUNT=1, EXPIRES_DAYS=90, REASON="a test")
    code = json.loads(made.stdout.splitlines()[0])["code"]
    counter = httpx.get(f"{billing}/buy", params={"t": token}, headers={"accept-language": "en"})
    assert (counter.status_code, "Purchases are off" in counter.text) == (503, True)
    assert 'action="./buy/voucher' in counter.text
    assert 'name="choice"' not in counter.text
    assert httpx.post(f"{billing}/buy/voucher", data={"t": token, "code": code[:-1]}).status_code == 422
    redeemed = httpx.post(f"{billing}/buy/voucher", data={"t": token, "code": code}, follow_redirects=True)
    assert redeemed.status_code == 200
    eventually_blocking(lambda: "Pronto!" in httpx.get(redeemed.url).text, 20, message="the order's page says so")
    eventually_blocking(lambda: stack.balance("ana")["credits"] > 40_000, 20, message="the code's tokens")
