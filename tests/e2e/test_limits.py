"""Balances at their end: nothing is overdrawn, the last tokens are shared, and people are told once."""

import asyncio
import base64
import os
import signal
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote

import openai
import pytest

from tests.support.eventually import eventually_blocking
from tests.support.stack import Stack

QUESTION: Any = [{"role": "user", "content": "Olá! Quem é você?"}]


def wait_told(stack: Stack, account: str, expected: Counter[str]) -> None:
    """Wait until each kind was told so often, in a mail of its own or in a graver one's."""
    eventually_blocking(
        lambda: sum(stack.told(account).values()) >= sum(expected.values()), 20, message=f"mails {dict(expected)}"
    )
    assert stack.told(account) == expected


async def test_two_hundred_parallel_calls_on_a_balance_for_ten(
    stack: Stack, closing: AsyncExitStack, account: str
) -> None:
    stack.limit(account, 1_200)
    client = await closing.enter_async_context(stack.async_client(account))

    async def call() -> int | None:
        try:
            answer = await client.chat.completions.create(model="demo-fast-words:90", messages=QUESTION, max_tokens=90)
        except openai.APIStatusError as refused:
            assert refused.status_code == 402
            assert refused.code == "insufficient_tokens"
            return None
        assert answer.usage is not None
        return answer.usage.total_tokens

    served = [used for used in await asyncio.gather(*(call() for _ in range(200))) if used is not None]
    balance = stack.wait_settled(account)
    assert 1 <= len(served) < 20
    assert sum(served) == balance["monthly_used"] <= 1_200
    assert balance["available"] >= 0
    assert balance["debt"] == 0
    assert balance["held"] == 0
    lowest = min(
        event["data"]["available_after"]
        for event in stack.events(account)
        if event["type"].endswith("tokens_reserved.v1")
    )
    assert lowest >= 0


def test_the_last_seven_hundred_tokens_are_served_in_shrinking_answers_until_one_is_refused(
    stack: Stack, account: str
) -> None:
    stack.limit(account, 700)
    client = stack.client(account)
    lengths: list[int] = []
    for _ in range(20):
        try:
            answer = client.chat.completions.create(model="demo-fast-words:5000", messages=QUESTION)
        except openai.APIStatusError as refused:
            assert refused.code == "insufficient_tokens"
            break
        assert answer.usage is not None
        assert answer.choices[0].finish_reason == "length"
        lengths.append(answer.usage.completion_tokens)
        balance = stack.wait_settled(account)
        assert balance["available"] >= 0
        assert balance["debt"] == 0
    else:
        pytest.fail("never refused")
    assert lengths
    assert lengths[0] <= 350
    assert stack.balance(account)["available"] >= 0


async def test_with_three_thousand_left_a_chat_and_its_parallel_title_are_both_served(
    stack: Stack, closing: AsyncExitStack, account: str
) -> None:
    stack.limit(account, 3_000)
    client = await closing.enter_async_context(stack.async_client(account))

    async def chat() -> str | None:
        finish: str | None = None
        async for chunk in await client.chat.completions.create(
            model="demo-words:200-pace:5", messages=QUESTION, stream=True
        ):
            finish = chunk.choices[0].finish_reason or finish
        return finish

    chatting = asyncio.create_task(chat())
    title = await client.chat.completions.create(model="demo-fast-words:8", messages=QUESTION)
    assert title.choices[0].message.content
    assert await chatting == "stop"
    assert stack.wait_settled(account)["debt"] == 0


def test_a_client_that_leaves_mid_stream_pays_for_what_was_produced(stack: Stack, account: str) -> None:
    stream = stack.client(account).chat.completions.create(
        model="demo-words:2000-pace:10", messages=QUESTION, stream=True
    )
    for number, _ in enumerate(stream):
        if number == 30:
            break
    stream.close()
    balance = stack.wait_settled(account)
    (event,) = [item for item in stack.events(account) if item["type"].endswith("usage_settled.v1")]
    assert event["data"]["outcome"] == "client_disconnected"
    assert event["data"]["usage_source"] == "estimated"
    assert 20 <= event["data"]["usage"]["completion_tokens"] < 500
    assert balance["monthly_used"] == event["data"]["billable_tokens"]


def test_each_threshold_is_mailed_once_and_being_out_once_more(stack: Stack, account: str) -> None:
    stack.limit(account, 10_000)
    client = stack.client(account)
    client.chat.completions.create(model="demo-usage:10:0:7990", messages=QUESTION)
    wait_told(stack, account, Counter({"threshold-80": 1}))
    client.chat.completions.create(model="demo-usage:10:0:990", messages=QUESTION, max_tokens=990)
    wait_told(stack, account, Counter({"threshold-80": 1, "threshold-90": 1}))
    client.chat.completions.create(model="demo-usage:10:0:490", messages=QUESTION, max_tokens=490)
    expected = Counter({"threshold-80": 1, "threshold-90": 1, "threshold-95": 1})
    wait_told(stack, account, expected)
    stack.wait_settled(account)
    client.chat.completions.create(model="demo-usage:500:0:0", messages=QUESTION, max_tokens=400)
    for _ in range(30):
        with pytest.raises(openai.APIStatusError):
            client.chat.completions.create(model="demo-fast", messages=QUESTION)
    wait_told(stack, account, expected + Counter({"threshold-100": 1, "tokens-exhausted": 1}))
    balance = stack.wait_settled(account)
    assert balance["monthly_used"] == 10_000


def test_ten_calls_that_cross_at_the_same_moment_mail_once(stack: Stack, account: str) -> None:
    stack.limit(account, 100_000)
    client = stack.client(account)

    def call(_: int) -> None:
        client.chat.completions.create(model="demo-usage:10:0:9990", messages=QUESTION, max_tokens=9_990)

    def cross(_: int) -> None:
        client.chat.completions.create(model="demo-usage:500:0:500", messages=QUESTION, max_tokens=500)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(call, range(9)))
    stack.wait_settled(account)
    with ThreadPoolExecutor(10) as pool:
        list(
            pool.map(
                lambda _: client.chat.completions.create(
                    model="demo-usage:500:0:500", messages=QUESTION, max_tokens=500
                ),
                range(10),
            )
        )
    balance = stack.wait_settled(account)
    assert balance["monthly_used"] == 100_000
    wait_told(
        stack,
        account,
        Counter({"threshold-80": 1, "threshold-90": 1, "threshold-95": 1, "threshold-100": 1, "tokens-exhausted": 1}),
    )


def test_a_grant_restores_access_at_once_and_the_allowance_goes_first(stack: Stack, account: str) -> None:
    stack.limit(account, 300)
    client = stack.client(account)
    client.chat.completions.create(model="demo-usage:200:0:100", messages=QUESTION, max_tokens=100)
    stack.wait_settled(account)
    with pytest.raises(openai.APIStatusError):
        client.chat.completions.create(model="demo-fast", messages=QUESTION)
    stack.credit(account, 5_000)
    client.chat.completions.create(model="demo-usage:20:0:30", messages=QUESTION)
    balance = stack.wait_settled(account)
    assert (balance["monthly_remaining"], balance["credits"]) == (0, 4_950)
    types = [event["type"].split(".")[2] for event in stack.events(account)]
    assert types.count("tokens_exhausted") == types.count("access_restored") == 1


def test_who_is_credited_while_mail_is_away_is_not_told_to_be_out_of_tokens(stack: Stack, account: str) -> None:
    stack.limit(account, 10_000)
    client = stack.client(account)

    def has_happened(name: str) -> bool:
        return any(event["type"] == f"solaris.ledger.{name}.v1" for event in stack.events(account))

    mailbox = stack.kill("mailbox", signal.SIGSTOP)
    try:
        client.chat.completions.create(model="demo-usage:10:0:9890", messages=QUESTION)
        stack.wait_settled(account)
        with pytest.raises(openai.APIStatusError):
            client.chat.completions.create(model="demo-fast", messages=QUESTION)
        eventually_blocking(lambda: has_happened("tokens_exhausted"), 20)
        stack.credit(account, 50_000)
        eventually_blocking(lambda: has_happened("access_restored"), 20)
    finally:
        os.kill(mailbox, signal.SIGCONT)
    # Nobody is told to be back who was not told to be out.
    wait_told(stack, account, Counter({"threshold-80": 1, "threshold-90": 1, "threshold-95": 1}))


def test_a_person_with_an_international_name_and_address_is_written_to(stack: Stack, account: str) -> None:
    def encoded(text: str) -> str:
        return "b64:" + base64.b64encode(text.encode()).decode()

    address, name = f"jörg.{account}@faß.example", unicodedata.normalize("NFD", "Jörg Müller")
    client = stack.client(account, **{"X-User-Email": encoded(address), "X-User-Name": encoded(name)})
    client.chat.completions.create(model="demo-usage:1:0:1", messages=QUESTION)
    stack.limit(account, 1_000)
    client.chat.completions.create(model="demo-usage:10:0:850", messages=QUESTION, max_tokens=850)

    def mail() -> dict[str, Any] | None:
        newest: list[dict[str, Any]] = stack.fetch_json(f"{stack.mailbox_url}/api/messages?to={quote(account)}")
        return stack.mail(newest[0]["id"]) if newest else None

    found = eventually_blocking(mail, 20)
    headers = dict(found["headers"])
    assert headers["Delivered-To"] == f"jörg.{account}@xn--fa-hia.example"
    assert "Olá, Jörg!" in found["text"]
