"""Errors in OpenAI's shape: the one place that knows which kind of failure has which HTTP status."""

from dataclasses import dataclass
from typing import Any, Final, assert_never

import msgspec
from chassis.caller_keys import UnknownKeyError
from contracts.errors import RefusalCode
from contracts.reservations import Refused
from language.choice import Language
from language.presentation import Presentation

from gateway.domain.errors import BodyTooLargeError, InvalidRequestError, MissingUserError
from gateway.domain.headers import Headers
from gateway.domain.notices import presented_to, refusal_line
from gateway.domain.outages import Outage, outage_line

JSON: Final[Headers] = [(b"content-type", b"application/json")]
_INVALID: Final = "invalid_request_error"
_API: Final = "api_error"

_encode = msgspec.json.Encoder().encode

_REFUSALS: Final = {
    RefusalCode.INSUFFICIENT_TOKENS: (402, "insufficient_quota"),
    RefusalCode.ACCOUNT_SUSPENDED: (403, "permission_error"),
    RefusalCode.ACCOUNT_BLOCKED: (403, "permission_error"),
    RefusalCode.ACCOUNT_PENDING: (403, "permission_error"),
    RefusalCode.MODEL_NOT_ALLOWED: (403, "permission_error"),
    RefusalCode.RATE_LIMITED: (429, "rate_limit_error"),
}
TOLD_IN_CHAT: Final = frozenset(_REFUSALS)
"""Refusals that a person can be told as a message of the assistant."""

_OUTAGES: Final = {
    Outage.LEDGER_UNAVAILABLE: 503,
    Outage.OVERLOADED: 503,
    Outage.INTERRUPTED: 503,
    Outage.UPSTREAM_UNREACHABLE: 502,
    Outage.UPSTREAM_TIMEOUT: 504,
    Outage.UPSTREAM_FAILED: 502,
    Outage.UPSTREAM_USELESS: 502,
    # Each repetition of a call that is charged would be charged too. LibreChat's client (LangChain) repeats whatever is
    # not 400 to 407, 409 or 413, OpenAI's own repeat 408, 409, 429 and 5xx: 406 nobody repeats, and nothing else is it.
    Outage.ANSWER_CUT: 406,
}


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    status: int
    code: str
    body: bytes
    headers: Headers


def error_answer(
    status: int, code: str, message: str, kind: str = _INVALID, *, param: str | None = None, details: Any = None
) -> ErrorAnswer:
    """`{"error": {"message", "type", "code", "param", "details"}}`."""
    error = {"message": message, "type": kind, "code": code, "param": param, "details": details}
    return ErrorAnswer(status, code, _encode({"error": error}), JSON)


def request_error(error: InvalidRequestError | MissingUserError | UnknownKeyError | BodyTooLargeError) -> ErrorAnswer:
    """What the caller did wrong."""
    match error:
        case UnknownKeyError():
            return error_answer(401, "invalid_api_key", "The API key is missing or unknown.", "authentication_error")
        case MissingUserError():
            message = "No user is named: send the header X-User-Id or the field user."
            return error_answer(400, "missing_user", message, param="user")
        case BodyTooLargeError(limit_bytes=limit):
            return error_answer(413, "invalid_request", f"The body is larger than {limit:,} bytes.")
        case InvalidRequestError(message=message, param=param):
            return error_answer(400, "invalid_request", f"Invalid request: {message}.", param=param)
        case _:
            assert_never(error)


def outage_error(outage: Outage, language: Language, detail: str = "") -> ErrorAnswer:
    """A part behind the gateway does not work."""
    return error_answer(_OUTAGES[outage], outage.value, outage_line(outage, language, detail), _API)


def outage_event(outage: Outage, language: Language, detail: str = "") -> bytes:
    """The same as an event of a stream that has begun."""
    return b"data: " + outage_error(outage, language, detail).body + b"\n\n"


def refusal_error(refused: Refused, language: Language, presentation: Presentation) -> ErrorAnswer:
    """The ledger made no hold; `details` carry the figures where it told them."""
    if refused.code not in _REFUSALS:
        return error_answer(400, "invalid_request", "Invalid request: the ledger could not read it.")
    status, kind = _REFUSALS[refused.code]
    message = refusal_line(refused, language, presentation)
    answer = error_answer(status, refused.code.value, message, kind, details=_details(refused, presentation))
    if refused.code is RefusalCode.RATE_LIMITED:
        seconds = str(refused.retry_after_seconds or 1).encode()
        return ErrorAnswer(status, answer.code, answer.body, [*JSON, (b"retry-after", seconds)])
    return answer


def _details(refused: Refused, presentation: Presentation) -> dict[str, Any] | None:
    details: dict[str, Any] = {}
    if refused.figures is not None:
        details = msgspec.to_builtins(refused.figures)
    if refused.code is RefusalCode.INSUFFICIENT_TOKENS:
        details["purchase_url"] = presented_to(refused.figures, presentation).purchase_url
    return details or None
