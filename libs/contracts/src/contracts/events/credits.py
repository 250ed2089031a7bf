"""What the ledger says of credits: each grant is a lot."""

from msgspec import Struct

from contracts.events.actors import Actor
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
    """A refund: the lot's remainder goes, even if held; what was spent already becomes debt."""

    lot_id: str
    tokens: Tokens
    from_lot: Tokens
    to_debt: Tokens
    reference: str
    reason_id: str | None = None
    actor: Actor | None = None


class CreditsExpired(Struct, frozen=True, kw_only=True):
    """A promotional lot passed its date; tokens that open holds need stay until those end."""

    lot_id: str
    tokens: Tokens
