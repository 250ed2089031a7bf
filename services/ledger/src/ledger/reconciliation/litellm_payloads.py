"""Reads what LiteLLM tells of calls: the payloads that its `generic_api` callback posts, and the rows of its own log.

Only figures, times and names are read. Prompts and answers, where somebody has LiteLLM send them, are passed over.
"""

import json as lenient_json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from contracts.codec import DECODE_ERRORS, fault_of
from contracts.limits import MAX_TEXT_LENGTH, is_clean_text
from msgspec import Raw, Struct, convert, field, json

from ledger.store.reconciliation.rows import Tokens, UpstreamCall

MOST_TOKENS: Final = 1_000_000_000
"""Of one call; more is a mistake or a lie."""
MOST_USD: Final = 1_000_000
MOST_CALLS: Final = 100_000
"""Of one body."""
MOST_VALUES: Final = 2_000_000
"""Of one body, at most: read, each takes some hundred bytes. A call of LiteLLM's has a few hundred."""
AHEAD: Final = timedelta(days=1)
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_MICROS: Final = 1_000_000
_BEFORE_VALUES: Final = (b",", b"[", b"{", b"\n")
"""No value is without one of them before it, but the first."""


class UnreadableError(Exception):
    """It is no JSON, or nothing that LiteLLM sends; the text says why."""


class Batch(Struct, frozen=True):
    """The calls that could be read, and for each other one why not."""

    calls: Sequence[UpstreamCall]
    refused: Sequence[str]


class _Payload(Struct, frozen=True):
    """LiteLLM's standard logging payload, as far as it counts; rows of its log have most of these names too."""

    startTime: float | str  # noqa: N815  LiteLLM's names
    endTime: float | str | None = None  # noqa: N815
    litellm_call_id: str | None = None
    id: str | None = None
    request_id: str | None = None
    status: str | None = None
    model: str | None = None
    model_group: str | None = None
    end_user: str | None = None
    cache_hit: bool | str | None = None
    prompt_tokens: float = 0
    completion_tokens: float = 0
    response_cost: float | None = None
    spend: float | None = None
    metadata: Any = field(default=None)  # Any: whatever stands there is looked through for figures


_decode_items: Final = json.Decoder(list[Raw]).decode
_decode_payload: Final = json.Decoder(_Payload).decode


def read_batch(body: bytes, now: datetime, oldest: datetime) -> Batch:
    """The calls of one POST: a JSON array, one object, or an object a line.

    A call that can't be read takes nothing from the others: LiteLLM sends a batch once, and keeps nothing.

    Raises:
        UnreadableError: the body as a whole can't be read.
    """
    items = _items(body)
    if len(items) > MOST_CALLS:
        raise UnreadableError(f"more than {MOST_CALLS} calls")
    calls: list[UpstreamCall] = []
    refused: list[str] = []
    for item in items:
        try:
            payload = _decode_payload(item) if isinstance(item, Raw) else convert(item, _Payload)
            calls.append(_call(payload, now, oldest))
        except DECODE_ERRORS as error:
            refused.append(fault_of(error))
        except ValueError as error:
            refused.append(str(error))
    return Batch(calls, refused)


def read_rows(rows: Sequence[object], now: datetime, oldest: datetime) -> Batch:
    """The same of decoded rows of `/spend/logs/v2`."""
    calls: list[UpstreamCall] = []
    refused: list[str] = []
    for row in rows:
        try:
            calls.append(_call(convert(row, _Payload), now, oldest))
        except DECODE_ERRORS as error:
            refused.append(fault_of(error))
        except ValueError as error:
            refused.append(str(error))
    return Batch(calls, refused)


def _items(body: bytes) -> Sequence[object]:
    text = body.strip()
    if not text:
        raise UnreadableError("an empty body")
    if sum(map(text.count, _BEFORE_VALUES)) > MOST_VALUES:
        raise UnreadableError(f"more than {MOST_VALUES} values")
    try:
        if text.startswith(b"["):
            return _decode_items(text)
        return [Raw(line) for line in text.split(b"\n") if line.strip()] if b"\n" in text else [Raw(text)]
    except DECODE_ERRORS as error:
        fault = fault_of(error)
    try:  # Python's own writer, which LiteLLM uses, knows numbers that JSON does not
        decoded = lenient_json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        raise UnreadableError(fault) from None
    return decoded if isinstance(decoded, list) else [decoded]


def _call(payload: _Payload, now: datetime, oldest: datetime) -> UpstreamCall:
    started_at = _moment(payload.startTime)
    if not oldest <= started_at <= now + AHEAD:
        raise ValueError("startTime: no time of a call that is kept")
    ended_at = started_at if payload.endTime is None else _moment(payload.endTime)
    cost = payload.response_cost if payload.response_cost is not None else payload.spend
    return UpstreamCall(
        call_id=_call_id(payload),
        account_id=_account_id(payload.end_user),
        model=_text(payload.model_group or _without_provider(payload.model or "")),
        started_at=started_at,
        ended_at=max(started_at, ended_at),
        failed=payload.status == "failure",
        cached=str(payload.cache_hit).lower() == "true",
        tokens=_tokens(payload),
        cost_usd_micros=_micros(cost or 0.0),
    )


def _call_id(payload: _Payload) -> str:
    """The id that joins it to a reservation; what can be none of ours is named by a digest."""
    found = payload.litellm_call_id or payload.request_id or payload.id
    if not found:
        raise ValueError("litellm_call_id: missing")
    return found if _IDENTIFIER.fullmatch(found) else f"other:{sha256(found.encode(errors='replace')).hexdigest()[:32]}"


def _account_id(end_user: str | None) -> str:
    """An address, or whatever else can't be an account of ours, is not kept."""
    return end_user if end_user and _IDENTIFIER.fullmatch(end_user) else ""


def _moment(told: float | str) -> datetime:
    """Seconds since 1970, or an ISO time, of UTC unless it says otherwise."""
    try:
        if isinstance(told, str):
            moment = datetime.fromisoformat(told)
            return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
        return datetime.fromtimestamp(told, UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError("startTime or endTime: no time") from None


def _tokens(payload: _Payload) -> Tokens:
    usage = _part(payload.metadata, "usage_object")
    prompt_details = _part(usage, "prompt_tokens_details")
    completion_details = _part(usage, "completion_tokens_details")
    tells_cache = bool(prompt_details) or "cache_read_input_tokens" in usage
    cached = _largest(prompt_details.get("cached_tokens"), usage.get("cache_read_input_tokens"))
    written = _largest(
        prompt_details.get("cache_creation_tokens"),
        prompt_details.get("cache_write_tokens"),
        usage.get("cache_creation_input_tokens"),
    )
    return Tokens(
        prompt=_count(payload.prompt_tokens, "prompt_tokens"),
        completion=_count(payload.completion_tokens, "completion_tokens"),
        cached_prompt=cached if tells_cache else None,
        cache_write=written if tells_cache else None,
        reasoning=_largest(completion_details.get("reasoning_tokens")) if completion_details else None,
    )


def _part(value: object, name: str) -> dict[str, object]:
    if isinstance(value, str):  # a column of a log that was read as text
        try:
            value = lenient_json.loads(value)
        except (ValueError, RecursionError):
            return {}
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _largest(*told: object) -> int:
    return max((_count(each, "usage_object") for each in told if isinstance(each, int | float)), default=0)


def _count(told: float, name: str) -> int:
    if not 0 <= told <= MOST_TOKENS or told != int(told):  # NaN is within no bounds
        raise ValueError(f"{name}: no number of tokens")
    return int(told)


def _micros(usd: float) -> int:
    if not 0 <= usd <= MOST_USD:  # NaN is not either
        raise ValueError("response_cost: no price of a call")
    return round(usd * _MICROS)


def _text(told: str) -> str:
    text = told[:MAX_TEXT_LENGTH]
    return text if is_clean_text(text) else ""


def _without_provider(model: str) -> str:
    """`openai/gpt-4o` → `gpt-4o`: LiteLLM puts before a model who serves it."""
    provider, _, name = model.partition("/")
    return name if name and provider else model
