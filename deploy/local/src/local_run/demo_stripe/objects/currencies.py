"""Currencies of the demo, and which amounts can be paid in them."""

from typing import Final

from local_run.demo_stripe.wire.errors import invalid_parameter

_STEPS: Final = {"brl": 1, "usd": 1, "eur": 1, "jpy": 1, "clp": 1, "krw": 1, "kwd": 10}
"""An amount is a multiple of so many smallest units: of three decimals, the last is a zero."""


def checked_currency(given: str) -> str:
    """The currency as Stripe tells it, in small letters.

    Raises:
        RefusedError: the demo does not know it.
    """
    currency = given.lower()
    if currency not in _STEPS:
        known = ", ".join(_STEPS)
        raise invalid_parameter("currency", f"Invalid currency: {given[:20]}. The demo knows {known}.")
    return currency


def check_step(amount: int, currency: str, param: str) -> None:
    """
    Raises:
        RefusedError: Stripe takes no such amount in the currency.
    """
    if amount % _STEPS[currency]:
        raise invalid_parameter(param, f"Amounts in {currency} must be multiples of {_STEPS[currency]}.")
