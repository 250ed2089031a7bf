"""Enforcement off, observing, and what happens without the ledger: the chat goes on as the operator chose."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import nats
import pytest
import pytest_asyncio
from contracts import subjects
from contracts.errors import RefusalCode
from contracts.reservations import ReserveAnswer, ReserveRequest
from contracts.usage import Outcome, UsageSource
from nats.aio.msg import Msg

from tests.integration.gateway.gateway_process import GatewayProcess, free_port, running_gateway
from tests.integration.gateway.raw_http import ask, chat
from tests.integration.gateway.scripted_ledger import FIGURES, ScriptedLedger, grant, refuse
from tests.integration.gateway.scripted_upstream import (
    METERED,
    Request,
    Responder,
    ScriptedUpstream,
    chunk,
    completion,
    usage_chunk,
)
from tests.support.eventually import eventually


@pytest_asyncio.fixture(scope="module")
async def observer(
    tmp_path_factory: pytest.TempPathFactory,
    nats_url: str,
    module_ledger: ScriptedLedger,
    module_upstream: ScriptedUpstream,
) -> AsyncIterator[GatewayProcess]:
    data_dir = tmp_path_factory.mktemp("observer")
    async with running_gateway(data_dir, nats_url, module_upstream.url, enforcement="observe") as process:
        yield process


@pytest_asyncio.fixture(scope="module")
async def idle(
    tmp_path_factory: pytest.TempPathFactory, module_upstream: ScriptedUpstream
) -> AsyncIterator[GatewayProcess]:
    """A gateway that is switched off, without any NATS."""
    data_dir = tmp_path_factory.mktemp("idle")
    nowhere = f"nats://127.0.0.1:{free_port()}"
    async with running_gateway(data_dir, nowhere, module_upstream.url, enforcement="off") as process:
        yield process


async def test_observing_meters_a_granted_call_and_never_clamps(
    observer: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    ledger.decide = lambda reserve: grant(reserve, output_tokens=5, write_maximum=True)
    reply = await ask(observer.port, chat(max_tokens=100))
    assert reply.status == 200
    assert upstream.requests[0].json == chat(max_tokens=100)
    record = await ledger.only_record()
    assert (record.usage, record.forwarded_without_hold, record.observed) == (METERED, False, True)
    assert all(reserve.observed for reserve in ledger.reserves)


async def test_observing_forwards_what_would_be_refused_and_meters_it(
    observer: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    ledger.decide = refuse(RefusalCode.INSUFFICIENT_TOKENS, figures=FIGURES)
    reply = await ask(observer.port, chat(stream=True))
    assert reply.events == [chunk("Hello"), chunk(" there"), chunk(None, "stop"), "[DONE]"]
    record = await ledger.only_record()
    assert (record.usage, record.outcome) == (METERED, Outcome.COMPLETED)
    assert record.forwarded_without_hold


async def test_observing_forwards_without_an_answer_from_the_ledger(
    observer: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    ledger.decide = lambda _: None
    assert (await ask(observer.port, chat())).json == completion()
    record = await ledger.only_record()
    assert record.forwarded_without_hold
    assert record.usage_source is UsageSource.PROVIDER


REFUSED_BODIES: dict[str, Any] = {
    "moving": chat(fallbacks=["gpt-4o-mini"], extra_body={"x": 1}),
    "too_many_choices": chat(n=17),
    "absurd_maximum": chat(max_tokens=-1),
    "maximum_of_another_type": chat(max_tokens="50000"),
    "too_many_fields": chat() | {f"field{number}": number for number in range(300)},
    "too_many_options": chat(options={f"option{number}": number for number in range(5_000)}),
    "too_many_messages": {"model": "gpt-4o", "messages": [{"role": "user", "content": "a"}] * 10_001},
    "too_deep": b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "a"}], "x": '
    + b"[" * 70
    + b"]" * 70
    + b"}",
    "too_many_values": b'{"model": "gpt-4o", "messages": [' + b"[]," * 100_000 + b"[]]}",
    "odd_messages": {"model": "gpt-4o", "messages": "Say hello"},
    "no_model": {"messages": [{"role": "user", "content": "a"}]},
    "not_json": b'{"model": "gpt-4o", "temperature": NaN, "messages": [{"role": "user", "content": "a"}]}',
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", REFUSED_BODIES)
async def test_observing_forwards_a_body_that_enforcing_refuses_as_it_came_and_charges_it(
    observer: GatewayProcess,
    gateway: GatewayProcess,
    ledger: ScriptedLedger,
    upstream: ScriptedUpstream,
    *,
    name: str,
    stream: bool,
) -> None:
    body = REFUSED_BODIES[name]
    if stream:
        body = body[:-1] + b', "stream": true}' if isinstance(body, bytes) else body | {"stream": True}
    assert (await ask(gateway.port, body)).status == 400

    async def answer(request: Request, responder: Responder) -> None:
        if not stream:
            await responder.reply(200, completion())
            return
        await responder.start_stream()
        await responder.event(chunk("Hello"))
        await responder.event(usage_chunk())
        await responder.end_stream()

    upstream.handle = answer
    reply = await ask(observer.port, body)
    assert reply.status == 200
    sent = upstream.requests[-1]
    read = not isinstance(body, bytes)
    if not read:
        assert sent.body == body
    else:
        assert sent.json == (body | {"stream_options": {"include_usage": True}} if stream else body)
    assert usage_chunk() not in reply.events if read and stream else True
    record = await ledger.record_of(reply.headers["x-solaris-request-id"])
    assert (record.usage, record.usage_source) == (METERED, UsageSource.PROVIDER)
    assert record.forwarded_without_hold
    assert record.model == ("gpt-4o" if read and name != "no_model" else "unknown")
    assert ledger.reserves == []


async def test_observed_body_that_breaks_a_rule_is_estimated_where_no_figures_come(
    observer: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    async def without(request: Request, responder: Responder) -> None:
        await responder.reply(200, completion("one two three", usage=None))

    upstream.handle = without
    for body, least in ((chat("word " * 100, n=17), 100), (REFUSED_BODIES["odd_messages"], 0)):
        reply = await ask(observer.port, body)
        record = await ledger.record_of(reply.headers["x-solaris-request-id"])
        assert (record.usage.completion_tokens, record.usage_source) == (3, UsageSource.ESTIMATED)
        assert record.usage.prompt_tokens >= least


async def test_what_observing_lets_through_is_counted_by_the_code_that_would_have_refused_it(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    """A call that names nobody is the one that can't be charged."""
    async with running_gateway(tmp_path / "data", nats_url, upstream.url, enforcement="observe") as observer:
        for body, headers in (
            (REFUSED_BODIES["moving"], {}),
            (REFUSED_BODIES["too_many_choices"], {}),
            (chat(), {"x-user-id": None}),
            (chat(), {"x-user-id": "{{LIBRECHAT_USER_ID}}"}),
            (chat(), {"x-user-id": "{{LIBRECHAT_USER_ID}}"}),
            (chat(), {"x-user-id": "b64:broken!"}),
        ):
            assert (await ask(observer.port, body, headers)).status == 200
            assert upstream.requests[-1].json == body

        async def counted() -> bool:
            scraped = (await ask(observer.port, path="/metrics", method="GET")).body.decode().splitlines()
            would_refuse = 'solaris_gateway_holds_total{outcome="would_refuse",reason='
            return {
                would_refuse + '"invalid_request"} 3.0',
                would_refuse + '"missing_user"} 3.0',
                'solaris_gateway_unmetered_total{reason="missing_user"} 3.0',
                'solaris_gateway_unmetered_total{reason="invalid_request"} 1.0',
            } <= set(scraped)

        await eventually(counted)
        assert ledger.reserves == []
        assert (await ask(observer.port, chat(), {"authorization": "Bearer nope"})).status == 401


async def test_open_gateway_forwards_and_meters_when_the_ledger_is_silent_but_still_refuses(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    async with running_gateway(tmp_path / "open", nats_url, upstream.url, ledger_failure="open") as gateway:
        ledger.decide = lambda _: None
        reply = await ask(gateway.port, chat())
        assert reply.status == 200
        record = await ledger.record_of(reply.headers["x-solaris-request-id"])
        assert (record.forwarded_without_hold, record.usage) == (True, METERED)
        ledger.decide = refuse(RefusalCode.ACCOUNT_BLOCKED)
        assert (await ask(gateway.port, chat())).status == 403


async def test_switched_off_gateway_passes_everything_through_and_records_nothing(
    idle: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    body = b'{"model": "gpt-4o", "stream": true, "n": 99, "messages": []}'
    reply = await ask(idle.port, body, {"x-user-id": None})
    assert reply.events == [chunk("Hello"), chunk(" there"), chunk(None, "stop"), "[DONE]"]
    assert upstream.requests[0].body == body
    assert upstream.requests[0].headers["authorization"] == "Bearer sk-upstream-secret"
    assert (await ask(idle.port, chat())).json == completion()
    assert (await ask(idle.port, chat(), {"authorization": None})).status == 401
    assert (await ask(idle.port, chat(), path="/v1/embeddings")).status == 404
    assert not ledger.reserves
    assert not ledger.usage
    assert not idle.journal.exists()


async def test_switched_off_gateway_is_ready_alone(idle: GatewayProcess) -> None:
    assert (await ask(idle.port, path="/health/ready", method="GET")).status == 200


async def test_parallel_calls_of_one_account_each_have_their_own_hold(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    replies = await asyncio.gather(*(ask(gateway.port, chat()) for _ in range(50)))
    assert len({reply.headers["x-solaris-request-id"] for reply in replies}) == 50
    assert len({reserve.reservation_id for reserve in ledger.reserves}) == 50


async def test_outage_of_the_ledger_does_not_slow_a_forgiving_gateway_down(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    nowhere = f"nats://127.0.0.1:{free_port()}"
    """A call that waited for the ledger would wait for the better part of a minute."""
    waits = {"reserve_deadline_seconds": "60", "reserve_attempt_seconds": "60"}
    for settings in ({"enforcement": "observe"} | waits, {"ledger_failure": "open"} | waits):
        data_dir = tmp_path / next(iter(settings))
        async with running_gateway(data_dir, nowhere, upstream.url, ready=False, **settings) as gateway:
            for _ in range(5):
                assert (await ask(gateway.port, chat())).status == 200


async def test_a_ledger_that_does_not_answer_delays_a_call_and_fails_none(
    gateway: GatewayProcess, ledger: ScriptedLedger, nats_url: str
) -> None:
    """One of two is frozen: half of the reserves reach it first, and go on to the other."""
    frozen: list[bytes] = []
    client = await nats.connect(nats_url)

    async def never_answer(message: Msg) -> None:
        frozen.append(message.data)

    await client.subscribe(f"{subjects.RESERVE_PREFIX}.*", queue=subjects.LEDGER_QUEUE, cb=never_answer)
    await client.flush()
    try:
        replies = await asyncio.gather(*(ask(gateway.port, chat()) for _ in range(40)))
    finally:
        await client.close()
    assert {reply.status for reply in replies} == {200}
    assert len(frozen) > 0
    assert len(ledger.reserves) == 40


async def test_a_clock_behind_the_ledger_s_is_told_and_refuses_no_call(
    gateway: GatewayProcess, ledger: ScriptedLedger
) -> None:
    """Behind by more than a reserve's deadline, which the ledger judges by its own clock. A ledger that doubts the time
    is another matter: all clocks but its own may be right."""
    ledger.ahead = timedelta(seconds=4)

    def late(reserve: ReserveRequest) -> ReserveAnswer | None:
        if reserve.deadline < datetime.now(UTC) + ledger.ahead:
            return refuse(RefusalCode.LATE)(reserve)
        return grant(reserve)

    ledger.decide = late
    try:
        assert [(await ask(gateway.port, chat())).status for _ in range(3)] == [200, 200, 200]

        async def told() -> bool:
            ready = await ask(gateway.port, path="/health/ready", method="GET")
            return ready.status == 503 and "clock" in ready.json["failing"]["ledger"]

        await eventually(told)
        ledger.clock_doubt_seconds = 3_456_000.0
        await gateway.wait_until_ready()
        scraped = (await ask(gateway.port, path="/metrics", method="GET")).body.decode()
        assert re.search(r"^solaris_gateway_clock_skew_seconds -[34]\.", scraped, re.MULTILINE)
    finally:
        ledger.ahead = timedelta(0)
        await gateway.wait_until_ready()


async def test_observing_leaves_a_trace_of_what_it_would_have_refused(
    observer: GatewayProcess, ledger: ScriptedLedger
) -> None:
    ledger.decide = refuse(RefusalCode.MODEL_NOT_ALLOWED)
    assert (await ask(observer.port, chat())).status == 200

    async def counted() -> bool:
        scraped = (await ask(observer.port, path="/metrics", method="GET")).body.decode()
        would = 'solaris_gateway_holds_total{outcome="would_refuse",reason="model_not_allowed"} 1.0'
        return would in scraped and 'mode="observe"' in scraped and "solaris_gateway_loop_lag_seconds" in scraped

    await eventually(counted)


async def test_a_call_ends_well_before_its_hold_does(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    """Whatever this gateway thinks of how long holds live."""

    def short_lived(reserve: ReserveRequest) -> ReserveAnswer:
        granted = grant(reserve).granted
        assert granted is not None
        return ReserveAnswer(granted=msgspec.structs.replace(granted, expires_in_seconds=2))

    async def silent(request: Request, responder: Responder) -> None:
        await responder.closed.wait()

    ledger.decide = short_lived
    upstream.handle = silent
    reply = await ask(gateway.port, chat())
    assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")


async def test_pass_through_that_breaks_within_a_stream_ends_as_a_metered_one_does(
    idle: GatewayProcess, upstream: ScriptedUpstream
) -> None:
    async def breaks(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        await responder.event(chunk("one"))
        responder.writer.close()

    upstream.handle = breaks
    reply = await ask(idle.port, chat(stream=True))
    assert reply.events[0] == chunk("one")
    assert reply.events[-1]["error"]["code"] == "interrupted"


async def test_pass_through_that_is_interrupted_within_a_stream_ends_as_a_metered_one_does(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    async def stuck(request: Request, responder: Responder) -> None:
        await responder.start_stream()
        await responder.event(chunk("one"))
        await asyncio.wait_for(responder.closed.wait(), 20)

    upstream.handle = stuck
    nowhere = f"nats://127.0.0.1:{free_port()}"
    async with running_gateway(tmp_path / "off", nowhere, upstream.url, enforcement="off", request_seconds="1") as off:
        reply = await ask(off.port, chat(stream=True))
        assert reply.events[-1]["error"]["code"] == "interrupted"
        assert "RuntimeError" not in off.log
