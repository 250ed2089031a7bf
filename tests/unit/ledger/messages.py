"""What people are told by events, as the naive account puts it, and what time alone may bring."""

from contracts.events.accounts import CycleStarted
from contracts.events.credits import CreditsExpired
from contracts.events.notices import AccessRestored, AllowanceExhausted, ThresholdCrossed, TokensExhausted
from contracts.events.registry import LedgerEvent

MADE_BY_TIME = (CycleStarted, CreditsExpired, ThresholdCrossed, AllowanceExhausted, TokensExhausted, AccessRestored)


def told(events: tuple[LedgerEvent, ...]) -> list[object]:
    names: dict[type, object] = {
        AllowanceExhausted: "allowance exhausted",
        TokensExhausted: "out",
        AccessRestored: "back",
    }
    crossed_or_named = (e.percent if isinstance(e, ThresholdCrossed) else names.get(type(e)) for e in events)
    return [each for each in crossed_or_named if each is not None]
