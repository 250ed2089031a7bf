"""Why somebody can't buy: each with the status of its page and the words that people read."""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from language.choice import Language
from pages.words import Fault

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
    UnknownCustomerError,
    UnknownOrderError,
    UnknownPackageError,
)
from billing.http.pages.english import ENGLISH
from billing.http.pages.portuguese import PORTUGUESE
from billing.http.pages.words import Words


class Trouble(Enum):
    """By its field in `Words`."""

    EXPIRED_LINK = "expired_link"
    FOREIGN_LINK = "foreign_link"
    NO_LINK = "no_link"
    PURCHASES_OFF = "purchases_off"
    PAYMENTS_AWAY = "payments_away"
    UNKNOWN_ORDER = "unknown_order"
    NOT_SOLD = "not_sold"
    TOO_MANY = "too_many"
    PAYMENT_REFUSED = "payment_refused"
    ALREADY_SUBSCRIBED = "already_subscribed"

    @property
    def status(self) -> int:
        return _STATUSES[self]

    def fault_in(self, words: Words) -> Fault:
        fault = getattr(words, self.value)
        assert isinstance(fault, Fault)
        return fault


class TroubleError(Exception):
    """Answered with the trouble's page."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.value)
        self.trouble = trouble


_STATUSES: Final = {
    Trouble.EXPIRED_LINK: 403,
    Trouble.FOREIGN_LINK: 403,
    Trouble.NO_LINK: 403,
    Trouble.PURCHASES_OFF: 503,
    Trouble.PAYMENTS_AWAY: 503,
    Trouble.UNKNOWN_ORDER: 404,
    Trouble.NOT_SOLD: 409,
    Trouble.TOO_MANY: 429,
    Trouble.PAYMENT_REFUSED: 502,
    Trouble.ALREADY_SUBSCRIBED: 409,
}
_OF_ERRORS: Final[Mapping[type[BillingError], Trouble]] = {
    PurchasesOffError: Trouble.PURCHASES_OFF,
    UnknownPackageError: Trouble.NOT_SOLD,
    CurrencyNotOfferedError: Trouble.NOT_SOLD,
    AlreadySubscribedError: Trouble.ALREADY_SUBSCRIBED,
    IdempotencyConflictError: Trouble.NOT_SOLD,
    TooManyPurchasesError: Trouble.TOO_MANY,
    PaymentServiceError: Trouble.PAYMENTS_AWAY,
    PaymentRefusedError: Trouble.PAYMENT_REFUSED,
    UnknownOrderError: Trouble.UNKNOWN_ORDER,
    ContendedOrderError: Trouble.PAYMENTS_AWAY,
    UnknownCustomerError: Trouble.PAYMENT_REFUSED,
}


def trouble_of(error: Exception) -> Trouble:
    """What whoever wants to buy is told of an error of ours."""
    if isinstance(error, TroubleError):
        return error.trouble
    assert isinstance(error, BillingError)
    return _OF_ERRORS[type(error)]


def words_for(language: Language) -> Words:
    return PORTUGUESE if language is Language.PORTUGUESE else ENGLISH
