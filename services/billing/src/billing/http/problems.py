"""Every error of billing's API, as RFC 9457 has it: the one place that knows statuses."""

from typing import Final

import structlog
from chassis.postgres import DATABASE_ERRORS
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from billing.application.errors import (
    AlreadySubscribedError,
    BillingError,
    ContendedOrderError,
    CurrencyNotOfferedError,
    IdempotencyConflictError,
    PaymentRefusedError,
    PaymentServiceError,
    PurchasesOffError,
    TooManyPurchasesError,
    TopUpRefusedError,
    UnknownCustomerError,
    UnknownOrderError,
    UnknownPackageError,
)

_TYPE = "application/problem+json"
_ANSWERS: Final[dict[type[BillingError], tuple[int, str]]] = {
    PurchasesOffError: (503, "purchases_off"),
    UnknownPackageError: (404, "unknown_package"),
    AlreadySubscribedError: (409, "already_subscribed"),
    CurrencyNotOfferedError: (422, "currency_not_offered"),
    IdempotencyConflictError: (409, "idempotency_conflict"),
    TooManyPurchasesError: (429, "rate_limited"),
    PaymentServiceError: (503, "payment_service_unavailable"),
    PaymentRefusedError: (502, "payment_refused"),
    UnknownOrderError: (404, "unknown_order"),
    UnknownCustomerError: (404, "unknown_customer"),
    TopUpRefusedError: (422, "top_up_refused"),
    ContendedOrderError: (503, "busy"),
}
"""Status and code by the kind of error."""
_RETRY_AFTER: Final = {429: "600", 503: "5"}
"""Seconds."""

log = structlog.get_logger()


class ProblemError(Exception):
    """An answer that is an error: `code` is for programs, `detail` one sentence for people."""

    def __init__(self, status: int, code: str, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.headers = status, code, detail, headers


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer."""
    body = {"type": "about:blank", "title": code.replace("_", " "), "status": status, "code": code, "detail": detail}
    return JSONResponse(body, status_code=status, headers=headers, media_type=_TYPE)


def answer_errors(api: FastAPI) -> None:
    """Have every error of the API answered as a problem."""

    @api.exception_handler(ProblemError)
    async def told(_: Request, error: ProblemError) -> JSONResponse:
        headers = {name.replace("_", "-"): value for name, value in error.headers.items()}
        return problem(error.status, error.code, error.detail, headers)

    @api.exception_handler(BillingError)
    async def declined(_: Request, error: BillingError) -> JSONResponse:
        status, code = _ANSWERS[type(error)]
        retry = {"retry-after": _RETRY_AFTER[status]} if status in _RETRY_AFTER else None
        return problem(status, code, str(error), retry)

    async def no_database(_: Request, error: Exception) -> JSONResponse:
        log.warning("request_without_database", error=type(error).__name__)
        return problem(503, "unavailable", "Try again in a moment.", {"retry-after": _RETRY_AFTER[503]})

    for kind in DATABASE_ERRORS:
        api.add_exception_handler(kind, no_database)

    @api.exception_handler(Exception)
    async def failed(_: Request, __: Exception) -> JSONResponse:
        return problem(500, "internal_error", "This failed here, and is noted.")

    @api.exception_handler(RequestValidationError)
    async def not_valid(_: Request, error: RequestValidationError) -> JSONResponse:
        # What was sent is not quoted: it may be anything.
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:5])
        return problem(422, "invalid_request", faults[:500])

    @api.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, "http_error", str(error.detail), dict(error.headers or {}))
