"""The settings of billing, as its service has them."""

import os

from chassis.logging import configure_logging

from billing.settings import BillingSettings


def load_settings() -> BillingSettings:
    """From the environment; from here on only errors are logged, on standard error.

    Raises:
        SettingsError: a variable can't be used.
    """
    configure_logging("billing-operate", "error")
    return BillingSettings.read(os.environ)
