"""Sums of a reconciliation by day, by model and by those accounts that something is found of, in bounded memory."""

from datetime import date
from typing import Final

from ledger.reconciliation.comparing import Compared
from ledger.store.reconciliation.rows import Sums

MAX_LINES: Final = 2_000
OTHERS: Final = "(others)"
"""Of invented names there is no end."""
NOTHING: Final = Sums()


class Totals:
    """Adds up what is compared."""

    def __init__(self) -> None:
        self.whole = NOTHING
        self.days: dict[date, Sums] = {}
        self.models: dict[str, Sums] = {}
        self.accounts: dict[str, Sums] = {}

    def add(self, compared: Compared) -> None:
        self.whole = self.whole.plus(compared.sums)
        self.days[compared.day] = self.days.get(compared.day, NOTHING).plus(compared.sums)
        _add(self.models, compared.model, compared.sums)
        if compared.finding is not None:
            _add(self.accounts, compared.account_id, compared.sums)


def _add(lines: dict[str, Sums], name: str, sums: Sums) -> None:
    if name not in lines and len(lines) >= MAX_LINES:
        name = OTHERS
    lines[name] = lines.get(name, NOTHING).plus(sums)
