"""The few kinds of failure that services tell each other; HTTP statuses are known at the edges alone."""

from enum import StrEnum


class RefusalCode(StrEnum):
    """Why the ledger made no hold.

    `busy`: the queue is full or slow, `late`: the request's deadline had passed, `ledger_unavailable`: the store did
    not answer in time — three cases in which a retry with the same id is right. `reservation_closed`: that id has
    ended already. `conflict`: that id stands with another content. `invalid_request`: the request breaks the contract.
    """

    INSUFFICIENT_TOKENS = "insufficient_tokens"
    ACCOUNT_SUSPENDED = "account_suspended"
    ACCOUNT_BLOCKED = "account_blocked"
    ACCOUNT_PENDING = "account_pending"
    MODEL_NOT_ALLOWED = "model_not_allowed"
    RATE_LIMITED = "rate_limited"
    BUSY = "busy"
    LATE = "late"
    LEDGER_UNAVAILABLE = "ledger_unavailable"
    RESERVATION_CLOSED = "reservation_closed"
    CONFLICT = "conflict"
    INVALID_REQUEST = "invalid_request"


class SolarisError(Exception):
    """Base of the errors that carry a meaning across a boundary."""


class NotFoundError(SolarisError):
    """The account or thing named does not exist."""


class ConflictError(SolarisError):
    """The same idempotency key came with another content."""


class InvalidError(SolarisError):
    """The input breaks a rule that the caller could have known."""


class PrematureError(InvalidError):
    """What the input builds on is not there, or not yet: the same input may succeed once it is."""


class UnavailableError(SolarisError):
    """A part that is needed does not answer; the same call may succeed later."""
