"""What a mail is made of: its notices, what else its account was or is to be told, what the account is now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from notifier.domain.billing_notices import BillingNotice
from notifier.domain.notices import Figures, Notice

type AnyNotice = Notice | BillingNotice
"""Of the ledger, told together, or of billing, each told by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the ledger says of the account just before a mail is sent; `exhausted` None: an older ledger.

    `heard_revision` is the last of what billing said of the order or the subscription that was asked about.
    """

    cycle_id: str
    figures: Figures
    is_active: bool
    exhausted: bool | None
    as_of: datetime
    heard_revision: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The account's other notices: those `told` before, and those that wait for a `later` mail.

    Of what was told, those of the same cycles, and the last about access of any cycle. `billing` are the latest of
    billing, told or not, where the mail is of billing.
    """

    told: Sequence[Notice] = ()
    later: Sequence[Notice] = ()
    billing: Sequence[BillingNotice] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed[Told]:
    """What became of a mail's notices: what it tells, if anything is left to tell, and those that nobody is told.

    `stale` lay too long; `overtaken` are no longer true, or another notice tells the same.
    """

    told: Told | None
    stale: tuple[AnyNotice, ...]
    overtaken: tuple[AnyNotice, ...]
