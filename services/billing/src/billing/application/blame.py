"""Whether what failed is about the one thing that was looked at, or would fail for whatever comes next."""

from chassis.postgres import DATABASE_ERRORS, refuses_the_data

from billing.stripe_api.errors import StripeUnavailableError, StripeUnreadableError


def is_outage(error: Exception) -> bool:
    """Postgres or Stripe is away. Anything else is one thing's own, and keeps nothing behind that waiting."""
    if isinstance(error, DATABASE_ERRORS):
        return not refuses_the_data(error)
    return isinstance(error, StripeUnavailableError) and not isinstance(error, StripeUnreadableError)
