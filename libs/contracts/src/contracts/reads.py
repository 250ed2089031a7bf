"""Reads, by request-reply: an account's balance and profile."""

from datetime import datetime

from msgspec import Struct

from contracts.balance import Balance
from contracts.limits import Identifier
from contracts.profiles import Profile


class BalanceRequest(Struct, frozen=True, kw_only=True):
    """May name an order or a subscription, of which the answer then says how far the ledger has heard billing."""

    order_id: Identifier | None = None
    subscription_id: Identifier | None = None


class BalanceAnswer(Struct, frozen=True, kw_only=True):
    """`balance` is None for an unknown account; `error` says what failed, and then a retry may help.

    `exhausted`: people were told that the account can serve no call, and nothing has raised it since; None: an older
    ledger, which does not say. `heard_revision`: the last of what billing said of the order or the subscription that
    was asked about, 0 where an order was bought and no more; None: nothing was heard, or not asked.
    """

    balance: Balance | None = None
    exhausted: bool | None = None
    heard_revision: int | None = None
    error: str | None = None


class ProfileAnswer(Struct, frozen=True, kw_only=True):
    """`profile` is None where nothing is known about the person; `error` says what failed."""

    profile: Profile | None = None
    error: str | None = None


class ReadyAnswer(Struct, frozen=True, kw_only=True):
    """Whether a reservation would be answered now; `error` names the failing part.

    `time` is what the ledger takes the time to be, by which it judges deadlines; None: an older ledger, which does not
    say. `clock_doubt_seconds`: by how much its database's clock is ahead of what the ledger believes; 0 while it is
    believed.
    """

    ready: bool = False
    error: str | None = None
    time: datetime | None = None
    clock_doubt_seconds: float = 0.0
