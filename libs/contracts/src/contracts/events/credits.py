"""What the ledger says of credits: each grant is a lot."""

from msgspec import Struct

from contracts.events.actors import Actor
from contracts.events.billing import Revision
from contracts.limits import StoredMoment, Tokens


class CreditsGranted(Struct, frozen=True, kw_only=True):
    """`tokens` were granted; `debt_repaid` of them repaid debt, the rest is the lot."""

    lot_id: str
    tokens: Tokens
    debt_repaid: Tokens
    source: str
    reference: str
    expires_at: StoredMoment | None = None
    reason_id: str | None = None
    actor: Actor | None = None


class CreditsRevoked(Struct, frozen=True, kw_only=True):
    """A refund: the lot's remainder goes, even if held; what was spent already becomes debt.

    `revision` is billing's count of what it took back of the order and gave back; None where a person took it back.
    """

    lot_id: str
    tokens: Tokens
    from_lot: Tokens
    to_debt: Tokens
    reference: str
    reason_id: str | None = None
    actor: Actor | None = None
    revision: Revision | None = None


class CreditsRestored(Struct, frozen=True, kw_only=True):
    """Tokens that were revoked are given back to their lot: `debt_repaid` of them repaid debt, the rest is in the lot.

    `expires_at` is the lot's date, if it has one: what comes back after it goes at once. `revision` as there.
    """

    lot_id: str
    tokens: Tokens
    debt_repaid: Tokens
    reference: str
    expires_at: StoredMoment | None = None
    reason_id: str | None = None
    actor: Actor | None = None
    revision: Revision | None = None


class CreditsExpired(Struct, frozen=True, kw_only=True):
    """A promotional lot passed its date; tokens that open holds need stay until those end."""

    lot_id: str
    tokens: Tokens
