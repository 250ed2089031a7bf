"""Refusals in the shape that Stripe gives them."""

from typing import Any


class RefusedError(Exception):
    """An answer other than 2xx: `status` is HTTP's; `kind`, `code`, `param` are fields of Stripe's error object."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        more: dict[str, Any] | None = None,  # Any: Stripe's objects, as JSON has them
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.more = more or {}

    def body(self) -> dict[str, Any]:
        """`{"error": {…}}`; what has no value is left out, as Stripe does."""
        told = {"message": self.message, "type": self.kind, "code": self.code, "param": self.param, **self.more}
        return {"error": {name: value for name, value in told.items() if value is not None}}


def no_such(what: str, identifier: str, *, param: str = "id", status: int = 404) -> RefusedError:
    """404 for an object that the path names, 400 for one that a parameter names."""
    return RefusedError(f"No such {what}: '{identifier}'", status=status, code="resource_missing", param=param)


def unknown_parameter(path: str) -> RefusedError:
    return RefusedError(f"Received unknown parameter: {path}", code="parameter_unknown", param=path)


def missing_parameter(path: str) -> RefusedError:
    return RefusedError(f"Missing required param: {path}.", code="parameter_missing", param=path)


def invalid_parameter(path: str, message: str, code: str | None = None) -> RefusedError:
    return RefusedError(message, code=code, param=path)
