"""What the request log is told of a call, by how it ended."""

from typing import Any

import pytest
from contracts.codec import encode
from contracts.errors import RefusalCode
from contracts.requests import MAX_BODY_LENGTH, Bodies, RequestEnding
from contracts.usage import Outcome, TokenUsage, UsageSource
from gateway.application.call import Call
from gateway.application.kept_bodies import KeptBodies
from gateway.application.request_line import Asker, request_line
from gateway.domain.outages import Outage
from gateway.messaging.request_log import MAX_LINE_BYTES

USED = {"usage_source": UsageSource.PROVIDER, "usage": TokenUsage(prompt_tokens=7), "forwarded": True}


def asker(**headers: str) -> Asker:
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Asker(headers=named, address="192.0.2.7", bodies=None)


@pytest.mark.parametrize(
    ("call", "ending", "code"),
    [
        ({"outcome": Outcome.COMPLETED, **USED}, RequestEnding.SERVED, None),
        ({"outcome": Outcome.CLIENT_DISCONNECTED, **USED}, RequestEnding.SERVED, None),
        ({"outcome": Outcome.INTERRUPTED, "code": Outage.ANSWER_CUT, **USED}, RequestEnding.SERVED, "answer_cut"),
        ({"passed": True}, RequestEnding.SERVED, None),
        ({"passed": True, "code": Outage.UPSTREAM_UNREACHABLE}, RequestEnding.FAILED, "upstream_unreachable"),
        *[({"code": code}, RequestEnding.REFUSED, code) for code in RefusalCode],
        ({"code": Outage.OVERLOADED}, RequestEnding.REFUSED, "overloaded"),
        (
            {"code": Outage.LEDGER_UNAVAILABLE, "outcome": Outcome.NOT_FORWARDED},
            RequestEnding.REFUSED,
            "ledger_unavailable",
        ),
        ({"outcome": Outcome.UPSTREAM_ERROR, "forwarded": True}, RequestEnding.FAILED, "upstream_error"),
        (
            {"outcome": Outcome.UPSTREAM_ERROR, "forwarded": True, "code": Outage.UPSTREAM_TIMEOUT},
            RequestEnding.FAILED,
            "upstream_timeout",
        ),
        ({"outcome": Outcome.NOT_FORWARDED}, RequestEnding.FAILED, "client_left"),
        ({"code": Outage.INTERRUPTED}, RequestEnding.FAILED, "interrupted"),
        ({"code": "internal_error"}, RequestEnding.FAILED, "internal_error"),
        ({}, RequestEnding.FAILED, "client_left"),
    ],
)
def test_a_call_is_served_or_refused_or_failed(call: dict[str, Any], ending: RequestEnding, code: str | None) -> None:
    line = request_line(Call(account_id="ana", **call), asker(), 200)
    assert (line.ending, line.code) == (ending, code)
    assert (line.usage is not None) == ("usage" in call)


def test_the_clients_own_words_are_kept_as_far_as_they_can_be_stored() -> None:
    line = request_line(Call(account_id="ana"), asker(), 0)
    assert (line.status, line.client_request_id, line.client_retries, line.user_agent) == (499, None, None, None)

    headers = {"x_client_request_id": "message-1", "x_request_id": "proxy", "x_stainless_retry_count": "2"}
    line = request_line(Call(account_id="ana"), asker(**headers, user_agent="OpenAI/Python"), 429)
    assert (line.status, line.client_request_id, line.client_retries) == (429, "message-1", 2)
    assert line.user_agent == "OpenAI/Python"
    assert request_line(Call(account_id="ana"), asker(x_request_id="proxy"), 200).client_request_id == "proxy"

    odd = {"x_client_request_id": "i" * 300, "x_stainless_retry_count": "9" * 400, "user_agent": "u" * 70_000}
    line = request_line(Call(account_id="ana"), asker(**odd), 200)
    assert (line.client_request_id, line.client_retries, line.user_agent) == (None, None, "u" * 256)


def test_bodies_are_kept_as_they_begin_and_any_of_them_can_be_told() -> None:
    kept = KeptBodies(10)
    kept.set_request("é".encode() * 9 + b"!")
    for piece in (b"data: ", b"12\x00", b"4567"):
        kept.add_to_answer(piece)
    assert kept.told() == Bodies(request="ééééé", answer="data: 12\ufffd4")

    worst = KeptBodies(MAX_BODY_LENGTH)
    worst.set_request(b"\x01" * 10**6)
    worst.add_to_answer(b"\xff" * 10**6)
    line = request_line(
        Call(account_id="a" * 128, model="\x01" * 256),
        Asker(headers={}, address=None, bodies=worst.told()),
        200,
    )
    assert len(encode(line)) < MAX_LINE_BYTES
