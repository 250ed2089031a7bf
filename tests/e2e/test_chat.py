"""A chat as any OpenAI client has it, seen from outside: answers, refusals, and the charge to the token."""

from typing import Any

import openai
import pytest

from tests.support.stack import KEY, Stack

QUESTION: Any = [{"role": "user", "content": "Olá! Quem é você?"}]


def test_an_answer_is_charged_to_the_token(stack: Stack, account: str) -> None:
    answer = stack.client(account).chat.completions.create(model="demo-usage:1000:0:50", messages=QUESTION)
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (1000, 50)
    balance = stack.wait_settled(account)
    assert balance["monthly_used"] == 1050
    assert balance["available"] == balance["monthly_limit"] - 1050
    assert balance["debt"] == 0


def test_a_stream_is_charged_to_the_token_though_its_client_never_asked_for_usage(stack: Stack, account: str) -> None:
    stream = stack.client(account).chat.completions.create(model="demo-usage:300:0:40", messages=QUESTION, stream=True)
    chunks = list(stream)
    assert len("".join(chunk.choices[0].delta.content or "" for chunk in chunks).split()) == 40
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert stack.wait_settled(account)["monthly_used"] == 340


def test_a_stream_tells_its_usage_to_a_client_that_asked(stack: Stack, account: str) -> None:
    stream = stack.client(account).chat.completions.create(
        model="demo-usage:300:0:40", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    *_, last = stream
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == 340
    assert stack.wait_settled(account)["monthly_used"] == 340


def test_cached_tokens_weigh_what_the_catalog_says(stack: Stack, account: str) -> None:
    stack.client(account).chat.completions.create(model="demo-usage:1000:200:50", messages=QUESTION)
    settled = stack.wait_settled(account)
    (event,) = [item for item in stack.events(account) if item["type"].endswith("usage_settled.v1")]
    assert event["data"]["usage"]["cached_prompt_tokens"] == 200
    assert settled["monthly_used"] == event["data"]["billable_tokens"] == 800 + 100 + 50


def test_plain_demo_answers_are_charged_what_they_report(stack: Stack, account: str) -> None:
    client = stack.client(account)
    used = 0
    for model in ("demo-fast", "demo-fast-reasoning", "demo-fast-words:200"):
        usage = client.chat.completions.create(model=model, messages=QUESTION).usage
        assert usage is not None
        used += usage.total_tokens
    balance = stack.wait_settled(account)
    assert balance["monthly_used"] == used
    assert balance["debt"] == 0


def test_tool_calls_come_through(stack: Stack, account: str) -> None:
    tool: Any = {"type": "function", "function": {"name": "clima", "parameters": {"type": "object", "properties": {}}}}
    answer = stack.client(account).chat.completions.create(model="demo-fast-tools", messages=QUESTION, tools=[tool])
    assert answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"


def test_the_answer_names_its_reservation_and_what_is_left(stack: Stack, account: str) -> None:
    raw = stack.client(account).chat.completions.with_raw_response.create(model="demo-usage:10:0:5", messages=QUESTION)
    reservation_id = raw.headers["x-solaris-request-id"]
    assert int(raw.headers["x-solaris-tokens-available"]) > 0
    stack.wait_settled(account)
    types = [event["type"] for event in stack.events(account) if event["data"].get("reservation_id") == reservation_id]
    assert types == ["solaris.ledger.tokens_reserved.v1", "solaris.ledger.usage_settled.v1"]


def test_the_upstream_learns_the_reservation_and_the_account_but_no_key_and_no_address(
    stack: Stack, account: str
) -> None:
    raw = stack.client(account).chat.completions.with_raw_response.create(model="demo-fast", messages=QUESTION)
    request = next(
        item
        for item in stack.upstream_requests()
        if item["headers"].get("x-litellm-call-id") == raw.headers["x-solaris-request-id"]
    )
    assert request["headers"]["x-litellm-end-user-id"] == account
    assert not [name for name in request["headers"] if name.startswith("x-user")]
    assert KEY not in str(request)
    assert f"{account}@example.com" not in str(request)


def test_models_are_listed_without_a_user(stack: Stack) -> None:
    with openai.OpenAI(base_url=stack.gateway_url, api_key=KEY, max_retries=0) as client:
        assert "demo" in {model.id for model in client.models.list()}


def test_an_unknown_key_is_refused(stack: Stack) -> None:
    with (
        openai.OpenAI(base_url=stack.gateway_url, api_key="sk-someone-elses", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError) as refused,
    ):
        client.chat.completions.create(model="demo-fast", messages=QUESTION, user="ana")
    assert refused.value.code == "invalid_api_key"


def test_a_call_without_a_user_is_refused_and_the_bodys_user_counts(stack: Stack, account: str) -> None:
    with openai.OpenAI(base_url=stack.gateway_url, api_key=KEY, max_retries=0) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(model="demo-fast", messages=QUESTION)
        assert refused.value.code == "missing_user"
        client.chat.completions.create(model="demo-usage:10:0:5", messages=QUESTION, user=account)
    assert stack.wait_settled(account)["monthly_used"] == 15


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_an_upstream_error_passes_through_and_costs_nothing(stack: Stack, account: str, status: int) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        stack.client(account).chat.completions.create(model=f"demo-error:{status}", messages=QUESTION)
    assert raised.value.status_code == status
    assert raised.value.code == f"demo_{status}"
    balance = stack.wait_settled(account)
    assert balance["monthly_used"] == 0
    assert balance["available"] == balance["monthly_limit"]


def test_what_does_not_fit_is_refused_with_figures_and_a_link_to_where_credits_are_bought(
    stack: Stack, account: str
) -> None:
    stack.limit(account, 50)
    with pytest.raises(openai.APIStatusError) as refused:
        stack.client(account).chat.completions.create(model="demo-fast", messages=QUESTION)
    assert refused.value.status_code == 402
    assert refused.value.code == "insufficient_tokens"
    error: Any = refused.value.body
    assert error["details"]["available"] == 50
    assert error["details"]["monthly_limit"] == 50
    url = error["details"]["purchase_url"]
    assert url.startswith(f"http://127.0.0.1:{stack.ports['billing']}/buy?t={account}.")
    assert error["message"].endswith(f" {url}")
    assert len(error["message"]) <= 240
    stack.credit(account, 100_000)
    assert stack.client(account).chat.completions.create(model="demo-fast", messages=QUESTION).choices


def test_a_refusal_in_the_chat_is_a_message_that_costs_nothing(stack: Stack, account: str) -> None:
    stack.limit(account, 50)
    client = stack.client(account, **{"X-Solaris-Notices": "chat"})
    with pytest.raises(
        openai.APIStatusError
    ) as refused:  # it may be a title, and the notice would name the conversation
        client.chat.completions.create(model="demo-fast", messages=QUESTION)
    assert refused.value.status_code == 402
    streamed = client.chat.completions.create(model="demo-fast", messages=QUESTION, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices)
    assert text.startswith("**Seus tokens não bastam")
    assert stack.balance(account)["available"] == 50


@pytest.mark.parametrize(("verb", "code"), [("suspend", "account_suspended"), ("block", "account_blocked")])
def test_a_suspended_or_blocked_account_gets_403_until_it_is_activated(
    stack: Stack, account: str, verb: str, code: str
) -> None:
    assert stack.set_status(verb, account)["status"] != "active"
    with pytest.raises(openai.PermissionDeniedError) as refused:
        stack.client(account).chat.completions.create(model="demo-fast", messages=QUESTION)
    assert refused.value.code == code
    assert stack.set_status("activate", account)["status"] == "active"
    assert stack.client(account).chat.completions.create(model="demo-fast", messages=QUESTION).choices
