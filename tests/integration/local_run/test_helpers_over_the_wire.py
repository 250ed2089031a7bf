"""The demo upstream and the mailbox, as other programs see them."""

import asyncio
import contextlib
import json
import os
import smtplib
import sys
import urllib.request
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import pytest_asyncio
from local_run.ports import any_free
from local_run.supervision import process
from local_run.supervision.probe import fetch
from local_run.supervision.process import Program

from tests.support.demo_stripe import start_demo_stripe
from tests.support.eventually import eventually


@contextlib.asynccontextmanager
async def _running(module: str, *arguments: str, port: int) -> AsyncIterator[None]:
    program = Program(name=module, command=(sys.executable, "-m", module, *arguments), environment=dict(os.environ))
    child = await process.start(program)
    try:

        async def answers() -> bool:
            return (await fetch(port, "/health/live")).status == 200

        await eventually(answers, 20)
        yield
    finally:
        await process.stop(child, program, 5)


@pytest_asyncio.fixture(scope="module")
async def upstream() -> AsyncIterator[str]:
    port = any_free()
    async with _running("local_run.demo_upstream", "--port", str(port), port=port):
        yield f"http://127.0.0.1:{port}"


@pytest_asyncio.fixture(scope="module")
async def sdk(upstream: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{upstream}/v1", api_key="any", max_retries=0, timeout=20) as client:
        yield client


QUESTION: Any = [{"role": "user", "content": "oi"}]


async def test_the_official_client_reads_answers_streams_and_models(sdk: openai.AsyncOpenAI) -> None:
    whole = await sdk.chat.completions.create(model="demo-usage:100:20:5", messages=QUESTION)
    assert whole.usage is not None
    assert whole.usage.total_tokens == 105
    stream = await sdk.chat.completions.create(
        model="demo-usage:100:20:5", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5
    assert "demo" in {model.id async for model in sdk.models.list()}


async def status_under(name: str, url: str) -> int:
    """What a browser is answered that was led to this machine by another name, or by one of its own."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as browser:
        return (await browser.get(url, headers={"host": name})).status_code


async def test_no_helper_answers_under_a_name_that_others_have_led_here(upstream: str, tmp_path: Path) -> None:
    web_port = any_free()
    arguments = ("--directory", str(tmp_path), "--smtp-port", str(any_free()), "--web-port", str(web_port))
    async with _running("local_run.mailbox", *arguments, port=web_port), start_demo_stripe() as stripe:
        for url in (f"{upstream}/demo/requests", f"http://127.0.0.1:{web_port}/api/messages", f"{stripe.url}/demo"):
            port = url.rpartition(":")[2].partition("/")[0]
            for name in (f"127.0.0.1:{port}", f"localhost:{port}", "localhost"):
                assert await status_under(name, url) == 200, name
            for name in (f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example", "x@localhost"):
                assert await status_under(name, url) == 400, name


@pytest.mark.parametrize("status", [400, 429, 500, 503])
async def test_errors_come_with_the_status_that_was_asked_for(sdk: openai.AsyncOpenAI, status: int) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        await sdk.chat.completions.create(model=f"demo-error:{status}", messages=QUESTION)
    assert raised.value.status_code == status


async def test_a_cut_stream_ends_without_its_end(sdk: openai.AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(model="demo-fast-cut", messages=QUESTION, stream=True)
    assert (await anext(aiter(stream))).choices
    with pytest.raises(openai.APIConnectionError):
        [chunk async for chunk in stream]


async def test_a_slow_model_is_slow_and_a_silent_one_falls_silent(sdk: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        await sdk.with_options(timeout=0.5).chat.completions.create(model="demo-slow:60000", messages=QUESTION)
    stream = await sdk.chat.completions.create(model="demo-fast-silent:60", messages=QUESTION, stream=True)
    iterator = aiter(stream)
    await anext(iterator)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(iterator), 0.5)
    await stream.close()


async def test_requests_are_remembered_without_their_keys(upstream: str, sdk: openai.AsyncOpenAI) -> None:
    await sdk.chat.completions.create(
        model="demo-fast", messages=QUESTION, extra_headers={"x-litellm-call-id": "call-7"}
    )
    body = (await fetch(int(upstream.rpartition(":")[2]), "/demo/requests")).body
    last = json.loads(body)[-1]
    assert last["headers"]["x-litellm-call-id"] == "call-7"
    assert "authorization" not in last["headers"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model": 3}', b"\xff", b"[" * 100_000])
async def test_bodies_that_make_no_sense_are_a_400(upstream: str, body: bytes) -> None:
    def post() -> int:
        try:
            with urllib.request.urlopen(f"{upstream}/v1/chat/completions", data=body, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert await asyncio.to_thread(post) == 400


async def test_mail_sent_by_smtp_is_listed_shown_and_kept_over_a_kill(tmp_path: Path) -> None:
    smtp_port, web_port = any_free(), any_free()
    arguments = ("--directory", str(tmp_path / "mail"), "--smtp-port", str(smtp_port), "--web-port", str(web_port))

    def send(number: int) -> None:
        message = EmailMessage()
        message["From"], message["To"] = "solaris@solaris.localhost", f"ana{number}@example.com"
        message["Subject"], message["X-Solaris-Kind"] = f"Olá {number}", "threshold-80"
        message.set_content("Restam 200 tokens.")
        message.add_alternative("<p onclick=alert(1)>Restam <b>200</b> tokens.</p>", subtype="html")
        with smtplib.SMTP("127.0.0.1", smtp_port, timeout=10) as connection:
            connection.send_message(message)

    async with _running("local_run.mailbox", *arguments, port=web_port):
        for number in range(3):
            await asyncio.to_thread(send, number)
        status, listed, _ = await fetch(web_port, "/api/messages?to=ana1@example.com&kind=threshold-80")
        (mail,) = json.loads(listed)
        assert (status, mail["subject"]) == (200, "Olá 1")
        _, shown, _ = await fetch(web_port, f"/api/messages/{mail['id']}")
        assert json.loads(shown)["text"].strip() == "Restam 200 tokens."
        assert (await fetch(web_port, f"/messages/{mail['id']}"))[0] == 200
        assert (await fetch(web_port, "/messages/nonsense"))[0] == 404
    async with _running("local_run.mailbox", *arguments, port=web_port):
        _, listed, _ = await fetch(web_port, "/api/messages")
        assert len(json.loads(listed)) == 3
