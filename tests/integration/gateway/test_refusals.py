"""Calls that are not served: clear answers in OpenAI's shape or as a notice, and no hold."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from contracts.errors import RefusalCode
from contracts.purchase_links import CHAT_LINK_LIFETIME, ExpiredLinkError, read_purchase_link
from contracts.reservations import RefusingCap, ReserveAnswer
from msgspec.structs import replace

from tests.integration.gateway.gateway_process import GatewayProcess, running_gateway
from tests.integration.gateway.raw_http import ask, chat
from tests.integration.gateway.scripted_ledger import FIGURES, ScriptedLedger, grant, refuse
from tests.integration.gateway.scripted_upstream import ScriptedUpstream
from tests.support.eventually import eventually

PATH = "/v1/chat/completions"
LINK_KEY = "a-key-that-signs-the-links-of-the-tests"
OLD_LINK_KEY = "a-key-that-signed-them-until-now"


async def test_short_calls_are_answered_while_a_huge_one_is_under_way(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    """That they have their turn while its tokens are counted is seen in the tokenizers' own test."""
    text = " ".join(f"{number:x} {number}" for number in range(1_200_000))
    huge = asyncio.create_task(ask(gateway.port, chat(text), timeout_seconds=60))
    answered = 0
    while not huge.done():
        assert (await ask(gateway.port, chat(), {"x-user-id": "bob"}, timeout_seconds=60)).status == 200
        answered += 1
    assert (await huge).status == 200
    assert answered > 1


async def test_models_come_from_the_upstream_and_are_kept_for_a_moment(
    gateway: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    before = upstream.model_list_requests
    replies = await asyncio.gather(
        *(ask(gateway.port, headers={"x-user-id": None}, path="/v1/models", method="GET") for _ in range(20))
    )
    assert all(reply.json["data"][0]["id"] == "gpt-4o" for reply in replies)
    assert upstream.model_list_requests <= before + 1


async def test_insufficient_tokens_is_402_with_figures_in_one_short_line(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    ledger.decide = refuse(RefusalCode.INSUFFICIENT_TOKENS, figures=FIGURES)
    reply = await ask(gateway.port, chat())
    assert reply.status == 402
    error = reply.error
    assert (error["code"], error["type"]) == ("insufficient_tokens", "insufficient_quota")
    assert error["details"] == {
        "available": 1234,
        "needed": 5678,
        "held": None,
        "cap": None,
        "monthly_limit": 1_000_000,
        "monthly_used": 998_766,
        "credits": 0,
        "resets_at": "2026-12-01T03:00:00Z",
        "exhausted": True,
        "purchase_url": None,
    }
    message = error["message"]
    assert len(message) <= 240
    assert "\n" not in message
    for fact in ("5.678", "1.234", "01/12/2026"):
        assert fact in message
    assert "http" not in message

    english = (await ask(gateway.port, chat(), {"accept-language": "en-US,en;q=0.9"})).error["message"]
    for fact in ("5,678", "1,234", "Dec 1, 2026"):
        assert fact in english


async def test_a_refusal_links_to_where_credits_are_bought_where_the_operator_names_it(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    ledger.decide = refuse(RefusalCode.INSUFFICIENT_TOKENS, figures=FIGURES)
    page, keys = "https://solaris.example/buy", f"{LINK_KEY},{OLD_LINK_KEY}"
    async with running_gateway(tmp_path, nats_url, upstream.url, purchase_url=page, link_keys=keys) as gateway:
        before = datetime.now(UTC)
        error = (await ask(gateway.port, chat())).error
        in_chat = (await ask(gateway.port, chat(stream=True), {"x-solaris-notices": "chat"})).text
        after = datetime.now(UTC)
    url = error["details"]["purchase_url"]
    assert error["message"].endswith(f" {url}")
    (url_in_chat,) = re.findall(r"\[compre créditos\]\((\S+)\)\.", in_chat)
    for link in (url, url_in_chat):
        start, _, token = link.partition("?t=")
        assert start == page
        assert read_purchase_link(token, [LINK_KEY.encode()], before + timedelta(hours=23.9)) == "ana"
        with pytest.raises(ExpiredLinkError):
            read_purchase_link(token, [LINK_KEY.encode()], after + CHAT_LINK_LIFETIME)


async def test_without_a_key_that_signs_links_nothing_speaks_of_buying(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    ledger.decide = refuse(RefusalCode.INSUFFICIENT_TOKENS, figures=FIGURES)
    async with running_gateway(tmp_path, nats_url, upstream.url, purchase_url="https://x.example/buy") as gateway:
        error = (await ask(gateway.port, chat())).error
        in_chat = (await ask(gateway.port, chat(stream=True), {"x-solaris-notices": "chat"})).text
    assert error["details"]["purchase_url"] is None
    for text in (error["message"], in_chat):
        assert "http" not in text
        assert "compr" not in text.lower()


async def test_a_notice_with_its_signed_link_is_taken_out_of_the_history_again(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    ledger.decide = refuse(RefusalCode.INSUFFICIENT_TOKENS, figures=FIGURES)
    url = "https://solaris.example/buy"
    async with running_gateway(tmp_path, nats_url, upstream.url, purchase_url=url, link_keys=LINK_KEY) as gateway:
        said = await ask(gateway.port, chat(stream=True), {"x-solaris-notices": "chat"})
        notice = said.text
        assert "/buy?t=ana." in notice
        ledger.decide = grant
        history = [{"role": "assistant", "content": notice}, {"role": "user", "content": "And now?"}]
        reply = await ask(gateway.port, chat() | {"messages": history})
    assert reply.status == 200
    assert [message["content"] for message in upstream.requests[-1].json["messages"]] == ["And now?"]


@pytest.mark.parametrize(
    ("held", "told"), [(0, "Start a new, shorter one."), (400, "Another request of yours is running")]
)
async def test_only_who_has_calls_in_flight_is_told_to_wait_for_them(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, held: int, told: str
) -> None:
    """With credits taken back that had been used, the balance is less than limit and credits though nothing is held."""
    figures = replace(
        FIGURES, available=9_500, needed=9_900, held=held, monthly_limit=10_000, monthly_used=0, exhausted=False
    )
    ledger.decide = refuse(RefusalCode.INSUFFICIENT_TOKENS, figures=figures)
    english = {"accept-language": "en"}
    assert told in (await ask(gateway.port, chat(), english)).error["message"]
    in_chat = await ask(gateway.port, chat(stream=True), english | {"x-solaris-notices": "chat"})
    assert told.replace("is running", "is still running") in in_chat.text


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "Outro pedido seu"),
        ({"held": 0, "cap": {"scope": "hour", "of": "newer"}, "something": "new"}, "no limite do seu plano"),
    ],
)
async def test_the_refusal_of_an_older_ledger_and_of_a_newer_one_is_understood(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, more: dict[str, Any], told: str
) -> None:
    figures = {
        "available": 9_500,
        "needed": 9_900,
        "monthly_limit": 10_000,
        "monthly_used": 0,
        "credits": 0,
        "resets_at": "2026-12-01T03:00:00Z",
        "exhausted": False,
    }
    refused = {"reservation_id": "r", "code": "insufficient_tokens", "figures": figures | more}
    answer = cast("ReserveAnswer", {"refused": refused})  # as it is written: our own type is that of our own version
    ledger.decide = lambda _: answer
    reply = await ask(gateway.port, chat())
    assert reply.status == 402
    assert told in reply.error["message"]


async def test_whom_a_cap_of_the_plan_refuses_is_told_so_and_sold_nothing(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    figures = replace(FIGURES, held=0, cap=RefusingCap(scope="day"))
    ledger.decide = refuse(RefusalCode.INSUFFICIENT_TOKENS, figures=figures)
    url = "https://x.example/buy"
    async with running_gateway(tmp_path, nats_url, upstream.url, purchase_url=url, link_keys=LINK_KEY) as gateway:
        error = (await ask(gateway.port, chat())).error
        in_chat = (await ask(gateway.port, chat(stream=True), {"x-solaris-notices": "chat"})).text
    assert error["details"]["cap"] == {"scope": "day", "every_model": True}
    assert error["details"]["purchase_url"] is None
    for text in (error["message"], in_chat):
        assert "limite diário do seu plano" in text
        assert "renova em 01/12/2026" in text
        assert "http" not in text
        assert "compre" not in text


async def test_the_persons_own_language_goes_before_the_clients(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    ledger.decide = refuse(RefusalCode.ACCOUNT_SUSPENDED, locale="en")
    reply = await ask(gateway.port, chat(), {"accept-language": "pt-BR"})
    assert "suspended" in reply.error["message"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (RefusalCode.ACCOUNT_SUSPENDED, 403),
        (RefusalCode.ACCOUNT_BLOCKED, 403),
        (RefusalCode.ACCOUNT_PENDING, 403),
        (RefusalCode.MODEL_NOT_ALLOWED, 403),
        (RefusalCode.RATE_LIMITED, 429),
        (RefusalCode.INVALID_REQUEST, 400),
        (RefusalCode.CONFLICT, 503),
        (RefusalCode.RESERVATION_CLOSED, 503),
    ],
)
async def test_each_refusal_has_its_status(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, code: RefusalCode, status: int
) -> None:
    ledger.decide = refuse(code, retry_after_seconds=7)
    reply = await ask(gateway.port, chat())
    assert reply.status == status
    if status in {403, 429}:
        assert reply.error["code"] == code
    assert reply.headers.get("retry-after") == ("7" if status == 429 else None)
    assert upstream.requests == []


async def test_notice_in_chat_is_an_assistants_message_that_used_nothing(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    ledger.decide = refuse(RefusalCode.INSUFFICIENT_TOKENS, figures=FIGURES)
    streamed = await ask(gateway.port, chat(stream=True), {"x-solaris-notices": "chat"})
    assert (streamed.status, streamed.headers["content-type"]) == (200, "text/event-stream")
    assert streamed.events[-1] == "[DONE]"
    text = streamed.text
    assert "5.678" in text
    assert "http" not in text
    asked = chat(stream=True, stream_options={"include_usage": True})
    with_usage = await ask(gateway.port, asked, {"x-solaris-notices": "chat"})
    assert with_usage.events[-2]["usage"]["total_tokens"] == 0


async def test_notice_is_removed_from_the_history_before_estimating_and_forwarding(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    ledger.decide = refuse(RefusalCode.INSUFFICIENT_TOKENS, figures=FIGURES)
    notice = (await ask(gateway.port, chat("first", stream=True), {"x-solaris-notices": "chat"})).text
    ledger.reset()
    plain = [{"role": "user", "content": "first"}, {"role": "user", "content": "again"}]
    await ask(gateway.port, chat() | {"messages": plain})
    for content in (notice, notice + "\n", [{"type": "text", "text": notice}]):
        history = [plain[0], {"role": "assistant", "content": content}, plain[1]]
        assert (await ask(gateway.port, chat() | {"messages": history})).status == 200
        assert upstream.requests[-1].json["messages"] == plain
    assert len({reserve.prompt_tokens for reserve in ledger.reserves}) == 1

    forged = notice.replace("[solaris-notice]: #", "[solaris-notice]: #0")
    for content in (notice + " and more", forged, "[solaris-notice]: #" + "0" * 32):
        history = [plain[0], {"role": "assistant", "content": content}, plain[1]]
        await ask(gateway.port, chat() | {"messages": history})
        assert upstream.requests[-1].json["messages"] == history


async def test_too_many_open_calls_are_refused(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    async with running_gateway(tmp_path / "small", nats_url, upstream.url, max_open_calls="1") as small:
        ledger.decide = lambda _: None
        first = asyncio.create_task(ask(small.port, chat()))
        await eventually(lambda: ledger.reserves)
        reply = await ask(small.port, chat())
        assert (reply.status, reply.error["code"]) == (503, "overloaded")
        assert (await first).status == 503


async def test_a_missing_or_unsafe_setting_stops_the_start_and_is_named(tmp_path: Path, nats_url: str) -> None:
    for setting, value in (
        ("gateway_keys", ""),
        ("gateway_keys", "short"),
        ("host", "0.0.0.0"),  # with the development key
        ("public_url", "ftp://x"),
        ("purchase_url", "https://" + "x" * 113 + "/buy"),
        ("request_seconds", "0"),
    ):
        with pytest.raises(RuntimeError, match="ended with 1"):
            async with running_gateway(
                tmp_path / setting / value[:5].strip("/"),
                nats_url,
                "http://127.0.0.1:9",
                ready=True,
                **{setting: value},
            ):
                pass
        log = (tmp_path / setting / value[:5].strip("/") / "gateway.log").read_text()
        assert f"SOLARIS_{'GATEWAY_KEYS' if setting == 'host' else setting.upper()}" in log


async def test_hundreds_of_silent_connections_leave_room_for_those_who_speak(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    """At a limit of 256 descriptors, three hundred that send nothing: health and calls are answered all the same."""
    async with running_gateway(tmp_path / "few", nats_url, upstream.url, descriptors="256") as gateway:
        silent = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(300)]
        try:
            for _ in range(5):
                assert (await ask(gateway.port, path="/health/live", method="GET")).status == 200
                assert (await ask(gateway.port, chat())).status == 200
        finally:
            for _, writer in silent:
                writer.close()
