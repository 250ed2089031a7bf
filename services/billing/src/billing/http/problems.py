"""Every error of billing's API, as RFC 9457 has it: what use cases refuse has its status here alone."""

from collections.abc import Mapping
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
from billing.application.redeeming import VoucherRefusedError
from billing.domain.vouchers import VoucherRefusal

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
_VOUCHERS: Final = {
    VoucherRefusal.MISTYPED: (422, "voucher_mistyped", "This is no code: look for a letter that is mistyped."),
    VoucherRefusal.UNKNOWN: (404, "voucher_unknown", "There is no such code."),
    VoucherRefusal.EXPIRED: (410, "voucher_expired", "The last day of this code is over."),
    VoucherRefusal.USED_UP: (410, "voucher_used_up", "This code was used as often as it can be."),
    VoucherRefusal.TOO_MANY_ATTEMPTS: (429, "rate_limited", "Too many codes were tried here lately; try again later."),
}
"""Status, code and sentence; the last one is the same whatever the code is worth."""
_RETRY_AFTER: Final = {429: {"retry-after": "360"}, 503: {"retry-after": "5"}}
"""In seconds: at ten an hour, a place is free after six minutes."""

log = structlog.get_logger()


class ProblemError(Exception):
    """An answer that is an error: `code` is for programs, `detail` one sentence for people."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer; of what passes by itself it says when to come again."""
    body = {"type": "about:blank", "title": code.replace("_", " "), "status": status, "code": code, "detail": detail}
    told = {**_RETRY_AFTER.get(status, {}), **(headers or {})}
    return JSONResponse(body, status_code=status, headers=told, media_type=_TYPE)


def answer_errors(api: FastAPI) -> None:
    """Have every error of the API answered as a problem."""

    @api.exception_handler(ProblemError)
    async def told(_: Request, error: ProblemError) -> JSONResponse:
        return problem(error.status, error.code, error.detail)

    @api.exception_handler(BillingError)
    async def declined(_: Request, error: BillingError) -> JSONResponse:
        status, code = _ANSWERS[type(error)]
        return problem(status, code, str(error))

    @api.exception_handler(VoucherRefusedError)
    async def not_redeemed(_: Request, error: VoucherRefusedError) -> JSONResponse:
        return problem(*_VOUCHERS[error.refusal])

    async def no_database(_: Request, error: Exception) -> JSONResponse:
        log.warning("request_without_database", error=type(error).__name__)
        return problem(503, "unavailable", "Try again in a moment.")

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
        return problem(error.status_code, "http_error", str(error.detail), error.headers)
