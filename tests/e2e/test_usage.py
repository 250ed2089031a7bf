"""What was used, and why, as operators ask for it on the running stack; the projector is killed in between."""

import json
import os
import signal
from typing import Any

import openai
import pytest

from tests.support.eventually import eventually_blocking
from tests.support.stack import Stack

BALANCES = ("monthly_used", "monthly_limit", "credits", "debt", "unowed")
QUESTION = [{"role": "user", "content": "What is a ledger?"}]


def test_a_call_is_in_the_usage_once_also_after_a_kill_and_a_replay(stack: Stack, account: str) -> None:
    def calls() -> int:
        ran = stack.operate("usage", ACCOUNT=account, BY="model")
        assert ran.returncode == 0, ran.stderr
        return sum(json.loads(line)["calls"] for line in ran.stdout.splitlines())

    client = stack.client(account, **{"X-Conversation-Id": f"talk of {account}"})
    client.chat.completions.create(model="demo-usage:20:0:10", messages=QUESTION)  # type: ignore[arg-type]
    stack.wait_settled(account)
    eventually_blocking(lambda: calls() == 1, 20, message="the call is in the usage")
    os.kill(stack.pid("projector"), signal.SIGKILL)
    client.chat.completions.create(model="demo-usage:20:0:10", messages=QUESTION)  # type: ignore[arg-type]
    balance = stack.wait_settled(account)
    eventually_blocking(lambda: calls() == 2, 30, message="the second call is in the usage")
    replayed = stack.operate("replay", PROJECTION="usage")
    assert (replayed.returncode, json.loads(replayed.stdout)["difference_count"]) == (0, 0)
    (person,) = map(json.loads, stack.operate("usage", ACCOUNT=account, BY="person").stdout.splitlines())
    assert (person["person"], person["calls"], person["prompt_tokens"]) == (account, 2, 40)
    assert person["billable_tokens"] == balance["monthly_used"]

    def explained() -> list[dict[str, Any]]:
        ran = stack.operate("explain", ID=f"talk of {account}")
        assert ran.returncode == 0, ran.stderr
        told = [json.loads(line) for line in ran.stdout.splitlines()]
        return told if len(told) == 2 else []

    lines = [json.loads(line) for line in stack.operate("statement", ACCOUNT=account).stdout.splitlines()]
    assert [line["kind"] for line in lines] == ["opened", "call", "call"]
    assert {name: lines[-1][name] for name in BALANCES} == {name: balance[name] for name in BALANCES}
    calls_of_talk = eventually_blocking(explained, 20, message="the request log names the conversation's calls")
    assert [each["reservation_id"] for each in calls_of_talk] == [line["reservation_id"] for line in lines[1:]]
    assert calls_of_talk[0]["steps"][0]["movement"]["billable_tokens"] == 30


def test_each_request_is_in_the_log_and_what_was_refused_is_counted(stack: Stack, account: str) -> None:
    def listed(verb: str, **values: str) -> list[dict[str, Any]]:
        ran = stack.operate(verb, **values)
        assert ran.returncode == 0, ran.stderr
        return [json.loads(line) for line in ran.stdout.splitlines()]

    client = stack.client(account, **{"X-Conversation-Id": f"talk-{account}", "X-Client-Request-Id": f"own-{account}"})
    client.chat.completions.create(model="demo-usage:20:0:10", messages=QUESTION)  # type: ignore[arg-type]
    stack.set_status("suspend", account)
    with pytest.raises(openai.PermissionDeniedError):
        client.chat.completions.create(model="demo", messages=QUESTION)  # type: ignore[arg-type]
    talk = f"talk-{account}"
    eventually_blocking(
        lambda: stack.operate("requests", ID=talk).stdout.count("\n") == 2, 20, message="both are in the log"
    )
    served, refused = listed("requests", ID=f"own-{account}")
    assert (served["ending"], served["prompt_tokens"], served["completion_tokens"]) == ("served", 20, 10)
    assert (refused["ending"], refused["code"], refused["status"]) == ("refused", "account_suspended", 403)
    assert served["user_agent"].startswith("OpenAI/Python")
    assert served["address"] == "127.0.0.1"
    (counted,) = listed("refusals", ACCOUNT=account, BY="code")
    assert counted == {"code": "account_suspended", "refusals": 1, "people": 1}
