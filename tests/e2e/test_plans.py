"""Plans and auto top-up on a running stack: what is paid at Stripe is what the account may use."""

import json
import urllib.request
from typing import Any

from tests.support.eventually import eventually_blocking
from tests.support.stack import KEY, Stack


def _post(url: str, body: dict[str, object], *, key: str | None = None) -> dict[str, Any]:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _wait_balance(stack: Stack, account: str, **expected: object) -> None:
    def as_expected() -> bool:
        balance = stack.balance(account)
        assert {name: balance[name] for name in expected} == expected
        return True

    eventually_blocking(as_expected, 60, message="the balance")


def test_a_subscription_gives_its_plan_and_says_so(stack: Stack, account: str) -> None:
    stack.client(account).chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
    stack.wait_settled(account)
    body: dict[str, object] = {"plan_id": "premium", "account_id": account}
    begun = _post(f"{stack.billing_url}/billing/subscribe", body, key=KEY)
    _post(f"{begun['checkout_url']}/pay", {"method": "card", "outcome": "paid"})
    _wait_balance(stack, account, plan="premium", monthly_limit=2_000_000, monthly_used=0)
    eventually_blocking(lambda: stack.mails(account, "plan-changed"), 60, message="a mail about it")
    portal = _post(f"{stack.billing_url}/billing/portal", {"account_id": account}, key=KEY)
    assert portal["portal_url"].startswith(stack.stripe_url)


def test_a_low_balance_is_topped_up_by_a_saved_card(stack: Stack, account: str) -> None:
    page = _post(f"{stack.billing_url}/billing/accounts/{account}/card", {}, key=KEY)
    _post(f"{page['checkout_url']}/pay", {"method": "card", "outcome": "paid"})
    made = stack.make("top-up", f"ACCOUNT={account}", "PACKAGE=large", "BELOW=2000000")
    assert (made.returncode, made.stderr) == (0, "")
    stack.client(account).chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hi"}])
    _wait_balance(stack, account, credits=4_000_000)
    made = stack.make("top-up", f"ACCOUNT={account}", "OFF=1")
    assert json.loads(made.stdout)["is_on"] is False
