"""Whether an account may be used, as people decide it."""

from contracts.errors import InvalidError
from contracts.events.accounts import StatusChanged

from ledger.domain.commands import ChangeStatus
from ledger.domain.decision import Decision, Draft

STATUSES = frozenset({"pending", "active", "suspended", "blocked"})


def decide_status(draft: Draft, command: ChangeStatus) -> Decision:
    if command.status not in STATUSES:
        raise InvalidError(f"unknown status {command.status!r}")
    if command.status != draft.account.status:
        draft.emit(
            StatusChanged(
                status=command.status,
                previous_status=draft.account.status,
                reason_id=command.reason_id,
                actor=command.actor,
            )
        )
    return draft.balance_answer()
