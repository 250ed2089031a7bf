"""Money by the operators' commands on a running stack: what they enter, look up and give back reaches the ledger."""

import csv
import io
import json
import urllib.request
from typing import Any

from tests.support.eventually import eventually_blocking
from tests.support.stack import KEY, Stack


def _lines(stack: Stack, verb: str, **values: object) -> list[dict[str, Any]]:
    completed = stack.operate(verb, **values)
    assert (completed.returncode, completed.stderr) == (0, "")
    return [json.loads(line) for line in completed.stdout.splitlines()]


def _post(url: str, body: dict[str, object], *, key: str | None = None) -> dict[str, Any]:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _billing(stack: Stack, path: str, body: dict[str, object]) -> dict[str, Any]:
    return _post(f"http://127.0.0.1:{stack.ports['billing']}{path}", body, key=KEY)


def _verdict(stack: Stack, order_id: str) -> str:
    return stack.operate("orders", ORDER=order_id).stdout.partition("\n")[0]


def _wait_verdict(stack: Stack, order_id: str, part: str) -> None:
    eventually_blocking(lambda: part in _verdict(stack, order_id), 60, message=part)


def test_an_order_that_was_paid_elsewhere_is_credited_and_given_back(stack: Stack, account: str) -> None:
    made = stack.make(
        "order", f"ACCOUNT={account}", "PACKAGE=small", "PAID_BY=bank_transfer", "REFERENCE=E 1", "REASON=it's paid"
    )
    assert (made.returncode, made.stderr) == (0, "")
    order = json.loads(made.stdout)
    assert (order["state"], order["tokens"]) == ("paid", 500_000)
    _wait_verdict(stack, order["order_id"], "credited at")
    assert stack.balance(account)["credits"] == 500_000
    (refunded,) = _lines(stack, "refund", ORDER=order["order_id"], AMOUNT=order["amount_minor"] // 2, REASON="half")
    assert refunded["revoked_tokens"] == 250_000
    eventually_blocking(lambda: stack.balance(account)["credits"] == 250_000, 60, message="taken back")
    _wait_verdict(stack, order["order_id"], "250000 of them taken back")


def test_what_one_person_may_not_give_alone_waits(stack: Stack, account: str) -> None:
    values = {"PAID_BY": "bank_transfer", "REFERENCE": "E 2", "REASON": "a year"}
    (order,) = _lines(stack, "order", ACCOUNT=account, TOKENS=5_000_001, **values)
    assert order["state"] == "awaiting_approval"
    approved = stack.operate("approve", ORDER=order["order_id"])
    assert (approved.returncode, "second person" in approved.stderr) == (2, True)
    (cancelled,) = _lines(stack, "refund", ORDER=order["order_id"], REASON="nobody else is there")
    assert cancelled["state"] == "cancelled"


def test_a_purchase_at_the_demo_is_told_from_its_checkout_to_its_mail(stack: Stack, account: str) -> None:
    bought = _billing(stack, "/billing/purchase-credits", {"package_id": "small", "account_id": account})
    assert "nobody has paid" in _verdict(stack, bought["order_id"])
    _post(f"{bought['checkout_url']}/pay", {"method": "card", "outcome": "paid"})
    _wait_verdict(stack, bought["order_id"], "credited at")

    def told() -> str | None:
        shown = stack.operate("orders", ORDER=bought["order_id"]).stdout
        return shown if " mail " in shown else None

    life = eventually_blocking(told, 60, message="a mail about it")
    for part in (
        "checkout.session.completed",
        "billing.credits_purchased, published",
        "ledger.credits_granted: 500000",
    ):
        assert part in life
    listed = stack.operate("orders", ACCOUNT=account, FORMAT="csv").stdout
    assert [row["id"] for row in csv.DictReader(io.StringIO(listed))] == [bought["order_id"]]


def test_a_voucher_is_made_redeemed_and_counted(stack: Stack, account: str) -> None:
    (made,) = _lines(stack, "vouchers", TOKENS=7_000, COUNT=1, USES=2, EXPIRES_DAYS=30, REASON="a gift")
    redeemed = _billing(stack, "/billing/redeem", {"code": made["code"], "account_id": account})
    assert redeemed["tokens"] == 7_000
    eventually_blocking(lambda: stack.balance(account)["credits"] == 7_000, 60, message="credited")
    (lot,) = _lines(stack, "lots", ACCOUNT=account)
    assert lot["expires_at"] is not None
    (use,) = _lines(stack, "vouchers", BATCH=made["batch_id"])
    assert (use["account_id"], use["order_id"]) == (account, redeemed["order_id"])
    _lines(stack, "vouchers-withdraw", BATCH=made["batch_id"], REASON="enough")


def test_the_role_of_operators_suffices_for_stripe(stack: Stack) -> None:
    assert "price" in {line["step"] for line in _lines(stack, "stripe-setup", SHOW=1)}
    _lines(stack, "stripe-setup")
    assert all(line["ok"] for line in _lines(stack, "stripe-check"))
    synced = stack.shell('eval "$(make -s env)" && make -s billing-sync')
    assert (synced.returncode, synced.stderr) == (0, ""), "what make env prints is enough for every verb"
    assert json.loads(synced.stdout)["events_seen"] > 0
