"""What Stripe's errors are to whoever asked: two sentences; Stripe's own words are for the log alone."""

import contextlib
from collections.abc import Iterator

import structlog

from billing.application.errors import PaymentRefusedError, PaymentServiceError
from billing.stripe_api.errors import StripeError, StripeUnavailableError

log = structlog.get_logger()


@contextlib.contextmanager
def told_to_people(refused: str, **about: str) -> Iterator[None]:
    """Have errors of Stripe's be billing's; `refused` is the sentence where it does not do it, `about` is logged.

    Raises:
        PaymentServiceError: it does not answer.
        PaymentRefusedError: it refuses.
    """
    try:
        yield
    except StripeUnavailableError as error:
        log.warning("payment_service_away", error=str(error), **about)
        raise PaymentServiceError("The payment service does not answer; try again in a moment.") from error
    except StripeError as error:
        log.error("payment_service_refuses", error=str(error), **about)  # noqa: TRY400  Stripe's words are all
        raise PaymentRefusedError(refused) from error
