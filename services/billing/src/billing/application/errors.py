"""Why billing does not do what it was asked for; `http/problems.py` knows how each is answered."""


class BillingError(Exception):
    """Any of these; the text is one sentence for whoever asked."""


class PurchasesOffError(BillingError):
    """Nothing is sold here."""

    def __init__(self) -> None:
        super().__init__("Purchases are not set up here.")


class UnknownPackageError(BillingError):
    """The catalog sells no such package or plan."""


class CurrencyNotOfferedError(BillingError):
    """It is sold, but not in that currency."""


class AlreadySubscribedError(BillingError):
    """A plan is paid for the account: it is changed, not bought beside."""


class IdempotencyConflictError(BillingError):
    """The same key asked for something else before."""


class TooManyPurchasesError(BillingError):
    """A link, an account or an address has begun too many purchases lately."""


class PaymentServiceError(BillingError):
    """Stripe does not answer: nothing is lost, and the same request may be sent again."""


class PaymentRefusedError(BillingError):
    """Stripe does not take what was asked of it; an operator has to look."""


class UnknownOrderError(BillingError):
    """There is no such order."""


class ContendedOrderError(BillingError):
    """Others changed the order each time that it was looked at: to be tried again."""


class UnknownCustomerError(BillingError):
    """Stripe has no customer for the account: it has never paid."""


class TopUpRefusedError(BillingError):
    """Auto top-up as it was asked for would buy in a loop, or never."""
