"""The few ways in which a request to Stripe ends without what was asked for."""

import stripe


class StripeError(Exception):
    """Any of these; the text is for operators, never for whoever pays."""


class StripeUnavailableError(StripeError):
    """No answer, or none that can be used: perhaps it was done, and asking again with the same key finds out."""


class StripeUnreadableError(StripeUnavailableError):
    """It answered, and not with what was asked for; of other objects it may."""


class StripeRefusedError(StripeError):
    """Stripe will not do this, however often it is asked; `code` is Stripe's own word."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class StripeMissingError(StripeRefusedError):
    """It knows no such object, or what is named in the request is not there any more (`parameter`)."""

    def __init__(self, message: str, code: str | None = None, parameter: str | None = None) -> None:
        super().__init__(message, code)
        self.parameter = parameter

    @property
    def lacks_customer(self) -> bool:
        """Somebody has deleted the customer in Stripe's dashboard, and with it its cards and subscriptions."""
        return self.parameter == "customer"


class StripeConflictError(StripeRefusedError):
    """The idempotency key was used for something else."""


class CardProblemError(StripeRefusedError):
    """The card's bank said no, or wants to see its owner (`authentication_required`); `decline_code` says more."""

    def __init__(self, message: str, code: str | None, decline_code: str | None, payment_intent_id: str | None) -> None:
        super().__init__(message, code)
        self.decline_code = decline_code
        self.payment_intent_id = payment_intent_id


def translated(error: stripe.StripeError) -> StripeError:
    """One of the kinds above for any error of the SDK's."""
    message = f"{error.user_message or type(error).__name__} ({error.code or error.http_status or 'no answer'})"
    match error:
        case stripe.IdempotencyError():
            return StripeConflictError(message, error.code)
        case stripe.CardError():
            details = error.error
            intent = getattr(details, "payment_intent", None)
            return CardProblemError(
                message, error.code, getattr(details, "decline_code", None), getattr(intent, "id", None)
            )
        case stripe.InvalidRequestError() if error.code == "resource_missing":
            return StripeMissingError(message, error.code, error.param)
        case stripe.InvalidRequestError() | stripe.AuthenticationError() | stripe.PermissionError():
            return StripeRefusedError(message, error.code)
        case _:
            return StripeUnavailableError(message)
