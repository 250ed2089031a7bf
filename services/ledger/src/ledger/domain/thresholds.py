"""The percentages of the allowance at which people are told."""

from contracts.errors import InvalidError
from contracts.events.accounts import ThresholdsChanged

from ledger.domain.commands import ChangeThresholds
from ledger.domain.decision import Decision, Draft


def decide_thresholds(draft: Draft, command: ChangeThresholds) -> Decision:
    """Thresholds passed already are told with the next change of used or limit."""
    thresholds = tuple(sorted(set(command.thresholds)))
    if any(not 1 <= percent <= 100 for percent in thresholds):
        raise InvalidError("thresholds are percentages from 1 to 100")
    if thresholds != draft.account.thresholds:
        draft.emit(ThresholdsChanged(thresholds=thresholds, reason_id=command.reason_id, actor=command.actor))
    return draft.balance_answer()
