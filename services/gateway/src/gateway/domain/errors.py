"""Why a call is not served, as facts; HTTP statuses are known at the edge alone."""


class InvalidRequestError(Exception):
    """The caller's request breaks a rule that the caller could have known; `param` names the field."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class MissingUserError(Exception):
    """No user is named, neither by header nor by the body."""


class BodyTooLargeError(Exception):
    """The body is longer than `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"longer than {limit_bytes} bytes")
        self.limit_bytes = limit_bytes
