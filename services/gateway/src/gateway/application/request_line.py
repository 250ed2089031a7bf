"""What the request log is told of one request: the call as it ended, and what is known of who asked."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from contracts.errors import RefusalCode
from contracts.limits import MAX_TEXT_LENGTH
from contracts.requests import Bodies, RequestEnded, RequestEnding
from contracts.usage import Outcome, UsageSource
from msgspec import Struct

from gateway.application.call import ENDPOINT, Call
from gateway.domain.identity import clean_header
from gateway.domain.outages import Outage

NO_ANSWER: Final = 499
"""As the status of a request whose client left before it was answered."""
_REFUSING: Final[frozenset[str]] = frozenset({*RefusalCode, Outage.OVERLOADED})
_MAX_DIGITS: Final = 3


class Asker(Struct, frozen=True, kw_only=True):
    """Where a request came from: its headers, its address, and what is kept of bodies where an operator wants that."""

    headers: Mapping[bytes, bytes]
    address: str | None
    bodies: Bodies | None


def request_line(call: Call, asker: Asker, status: int) -> RequestEnded:
    """The one line of a request that named an account; `status` is that of its answer, 0 where there was none."""
    headers, ending = asker.headers, _ending(call)
    used = call.usage_source is not UsageSource.NONE
    refusal = call.refusal
    return RequestEnded(
        request_id=call.id,
        account_id=call.account_id,
        at=call.started_at,
        endpoint=ENDPOINT,
        ending=ending,
        status=status or NO_ANSWER,
        duration_ms=call.elapsed_ms(),
        code=call.code or (_failure(call) if ending is RequestEnding.FAILED else None),
        would_refuse=call.would_refuse,
        outcome=call.outcome,
        model=call.model,
        streamed=call.stream,
        conversation_id=call.conversation_id,
        client_request_id=_own_id(headers),
        client_retries=_count(headers.get(b"x-stainless-retry-count")),
        key_id=call.key_id,
        address=asker.address,
        user_agent=_user_agent(headers.get(b"user-agent", b"")[:MAX_TEXT_LENGTH]),
        first_token_ms=call.first_token_ms,
        estimated_prompt_tokens=call.estimated_prompt_tokens,
        held_tokens=call.held_tokens,
        granted_output_tokens=call.granted_output_tokens,
        usage=call.usage if used else None,
        usage_source=call.usage_source if used else None,
        available_tokens=refusal.available if refusal is not None else None,
        needed_tokens=refusal.needed if refusal is not None else None,
        upstream_attempts=call.upstream_attempts,
        cached=call.cached,
        bodies=asker.bodies,
    )


def _ending(call: Call) -> RequestEnding:
    if call.usage_source is not UsageSource.NONE or (call.passed and call.code is None):
        return RequestEnding.SERVED
    refused = call.code in _REFUSING and not call.forwarded
    return RequestEnding.REFUSED if refused else RequestEnding.FAILED


def _failure(call: Call) -> str:
    """Of one of which the client was told nothing of ours: the upstream's own error, or nothing as it had left."""
    return Outcome.UPSTREAM_ERROR if call.outcome is Outcome.UPSTREAM_ERROR else "client_left"


def _own_id(headers: Mapping[bytes, bytes]) -> str | None:
    """The client's own id of the request: OpenAI's header for it, else the one that proxies write."""
    own = headers.get(b"x-client-request-id") or headers.get(b"x-request-id")
    return clean_header(own, MAX_TEXT_LENGTH) if own else None


def _count(value: bytes | None) -> int | None:
    return int(value) if value is not None and value.isdigit() and len(value) <= _MAX_DIGITS else None


@lru_cache(1_024)
def _user_agent(value: bytes) -> str | None:
    return clean_header(value, MAX_TEXT_LENGTH)
