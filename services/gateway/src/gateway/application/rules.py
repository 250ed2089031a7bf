"""How strict a gateway is with chat calls."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How strict this gateway is, and the keys and waits of a call; `observe` never refuses and never clamps."""

    observe: bool
    forward_without_ledger: bool
    pseudonym_key: bytes
    notice_key: bytes
    silence_seconds: float
    call_seconds: float
    refuse_unknown_fields: bool = False
