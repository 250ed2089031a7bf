"""The ledger's own settings and policy, as its services have them."""

from chassis.logging import configure_logging
from contracts.errors import InvalidError

from ledger.catalog_file import CatalogError, load_policy
from ledger.domain.policy import Policy
from ledger.settings import LedgerSettings


def load_settings() -> tuple[LedgerSettings, Policy]:
    """Settings and policy from the environment; from here on only errors are logged, on standard error.

    Raises:
        InvalidError: a variable or the catalog can't be used.
    """
    configure_logging("ledger-operate", "error")
    try:
        settings = LedgerSettings.load()
    except SystemExit as stop:
        raise InvalidError(str(stop)) from None
    try:
        return settings, load_policy(settings)
    except CatalogError as error:
        raise InvalidError(str(error)) from error
