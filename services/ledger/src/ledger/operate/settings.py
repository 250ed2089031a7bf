"""The settings of the ledger, as its service has them."""

import os

from chassis.logging import configure_logging

from ledger.settings import LedgerSettings


def load_settings() -> LedgerSettings:
    """From the environment; from here on only errors are logged, on standard error.

    Raises:
        SettingsError: a variable can't be used.
    """
    configure_logging("ledger-operate", "error")
    return LedgerSettings.read(os.environ)
