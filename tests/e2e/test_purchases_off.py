"""Without keys of Stripe's and without its demo nothing is sold, and nothing pretends that it is."""

from typing import Any

import httpx
import openai
import pytest

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
