"""Every command of the operators on a running stack, with the rights that they have and no more."""

import base64
import json

import pytest

from tests.support.stack import Stack

QUESTION = [{"role": "user", "content": "What is a ledger?"}]


def _lines(stack: Stack, verb: str, **values: object) -> list[dict[str, object]]:
    completed = stack.operate(verb, **values)
    assert (completed.returncode, completed.stderr) == (0, "")
    return [json.loads(line) for line in completed.stdout.splitlines()]


def test_a_grant_is_given_looked_up_and_taken_back(stack: Stack, account: str) -> None:
    stack.credit(account, 900)
    (lot,) = _lines(stack, "lots", ACCOUNT=account)
    assert (lot["granted"], lot["remaining"]) == (900, 900)
    (balance,) = _lines(stack, "revoke", ACCOUNT=account, LOT=lot["lot_id"], TOKENS=400, REASON="too much")
    assert balance["credits"] == 500


def test_a_person_is_found_by_the_id_that_the_client_has_exported_and_forgotten(stack: Stack, account: str) -> None:
    odd = f"Açúcar & {account}"
    client = stack.client("b64:" + base64.b64encode(odd.encode()).decode())
    client.chat.completions.create(model="demo-usage:20:0:10", messages=QUESTION)  # type: ignore[arg-type]
    (person,) = _lines(stack, "find", WHO=f"acucar & {account}")
    pseudonym = str(person["account_id"])
    assert (pseudonym[:2], person["user_id"]) == ("p-", odd)
    stack.wait_settled(pseudonym)
    (held,) = _lines(stack, "export", ACCOUNT=pseudonym)
    assert set(held) == {"ledger", "notifier", "billing"}
    assert stack.operate("export", ACCOUNT="nobody-at-all").stdout == ""
    ledger, notifier, billing = _lines(stack, "forget", ACCOUNT=pseudonym)
    assert (ledger["erased"], notifier["mails_erased"], billing["orders_kept"]) == (True, 0, 0)
    assert stack.operate("find", WHO=f"acucar & {account}").returncode == 1


@pytest.mark.parametrize(
    ("verb", "values"),
    [
        ("verify", {}),
        ("checkpoint", {}),
        ("verify", {"CHECKPOINT": "latest"}),
        ("verify", {"SINCE": "latest"}),
        ("replay", {}),
        ("republish", {"FROM": 1, "TO": 3}),
        ("events", {"FROM": 1, "TO": 3}),
        ("apply-catalog", {"SHOW": 1}),
        ("apply-catalog", {"PLAN": "trial"}),
        ("dead-letters", {}),
        ("dead-letters-retry", {}),
        ("seed", {}),
    ],
)
def test_the_role_of_operators_suffices(stack: Stack, account: str, verb: str, values: dict[str, object]) -> None:
    stack.credit(account, 5)
    _lines(stack, verb, **values)


def test_a_checkpoint_that_was_kept_is_compared(stack: Stack, account: str) -> None:
    stack.credit(account, 5)
    (before,) = _lines(stack, "verify")
    stack.credit(account, 6)
    _lines(stack, "verify", CHECKPOINT=json.dumps(before["checkpoint"]))
    other = json.dumps(before["checkpoint"]).replace('"events": ', '"events": 1')
    assert stack.operate("verify", CHECKPOINT=other).returncode == 1
