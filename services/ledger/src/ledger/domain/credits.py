"""Credits, as people and payments grant them and take them back."""

from contracts.errors import ConflictError, InvalidError, PrematureError
from contracts.events.credits import CreditsGranted, CreditsRestored, CreditsRevoked

from ledger.domain.charges import CORRECTION_PREFIX
from ledger.domain.commands import GrantCredits, RestoreCredits, RevokeCredits
from ledger.domain.decision import Decision, Draft, require_turn, retire_lots
from ledger.domain.lots import LotRecord
from ledger.domain.policy import Policy


def decide_grant(draft: Draft, command: GrantCredits, policy: Policy) -> Decision:
    if command.tokens <= 0:
        raise InvalidError("credits are granted in positive amounts")
    if command.expires_at is not None and command.expires_at.tzinfo is None:
        raise InvalidError("a lot's date needs an offset from UTC")
    if command.lot_id.startswith(CORRECTION_PREFIX):
        raise InvalidError(f"a lot id that begins with {CORRECTION_PREFIX} is the ledger's own")
    if draft.lot is not None or any(lot.id == command.lot_id for lot in draft.account.lots):
        raise ConflictError(f"lot {command.lot_id} was granted before")
    draft.emit(
        CreditsGranted(
            lot_id=command.lot_id,
            tokens=command.tokens,
            debt_repaid=min(draft.account.debt, command.tokens),
            source=command.source,
            reference=command.reference,
            expires_at=command.expires_at,
            reason_id=command.reason_id,
            actor=command.actor,
        )
    )
    draft.restore_from(policy.smallest_call_tokens)
    return draft.balance_answer()


def decide_revoke(draft: Draft, command: RevokeCredits, policy: Policy) -> Decision:
    lot = _revised_lot(draft, command)
    if command.tokens > lot.revocable:
        raise PrematureError(
            f"of lot {command.lot_id} {lot.granted} tokens were granted and {lot.restorable} revoked: "
            f"{command.tokens} more can't be"
        )
    left = next((lot.tokens for lot in draft.account.lots if lot.id == command.lot_id), 0)
    from_lot = min(left, command.tokens)
    draft.emit(
        CreditsRevoked(
            lot_id=command.lot_id,
            tokens=command.tokens,
            from_lot=from_lot,
            to_debt=command.tokens - from_lot,
            reference=command.reference,
            reason_id=command.reason_id,
            actor=command.actor,
            revision=_number(command),
        )
    )
    draft.exhaust_below(policy.smallest_call_tokens)
    return draft.balance_answer()


def decide_restore(draft: Draft, command: RestoreCredits, policy: Policy) -> Decision:
    lot = _revised_lot(draft, command)
    if command.tokens > lot.restorable:
        raise PrematureError(
            f"of lot {command.lot_id} {lot.restorable} tokens are revoked: {command.tokens} can't be restored"
        )
    draft.emit(
        CreditsRestored(
            lot_id=command.lot_id,
            tokens=command.tokens,
            debt_repaid=min(draft.account.debt, command.tokens),
            reference=command.reference,
            expires_at=lot.expires_at,
            reason_id=command.reason_id,
            actor=command.actor,
            revision=_number(command),
        )
    )
    retire_lots(draft, policy)
    draft.restore_from(policy.smallest_call_tokens)
    return draft.balance_answer()


def _revised_lot(draft: Draft, command: RevokeCredits | RestoreCredits) -> LotRecord:
    """The record of the lot that the command takes from or gives back to, and may now.

    One that was taken for lost counts when it comes after all: what is taken and given back are differences.
    """
    if command.tokens <= 0:
        raise InvalidError("credits are revoked and restored in positive amounts")
    if draft.lot is None:
        raise PrematureError(f"the account has no lot {command.lot_id}")
    if command.revision is not None:
        require_turn(command.revision, draft.lot.revision, f"lot {command.lot_id}")
    return draft.lot


def _number(command: RevokeCredits | RestoreCredits) -> int | None:
    return None if command.revision is None else command.revision.number
