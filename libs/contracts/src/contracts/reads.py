"""Reads, by request-reply: an account's balance and profile."""

from dataclasses import dataclass
from datetime import datetime

from contracts.balance import Balance
from contracts.reservations import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceAnswer:
    """`balance` is None for an unknown account; `error` says what failed, and then a retry may help.

    `exhausted`: people were told that the account can serve no call, and nothing has raised it since; None: an older
    ledger, which does not say.
    """

    balance: Balance | None = None
    exhausted: bool | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileAnswer:
    """`profile` is None where nothing is known about the person; `error` says what failed."""

    profile: Profile | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyAnswer:
    """Whether a reservation would be answered now; `error` names the failing part.

    `time` is what the ledger takes the time to be, by which it judges deadlines; None: an older ledger, which does not
    say. `clock_doubt_seconds`: by how much its database's clock is ahead of what the ledger believes; 0 while it is
    believed.
    """

    ready: bool
    error: str | None = None
    time: datetime | None = None
    clock_doubt_seconds: float = 0.0
