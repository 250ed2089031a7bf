"""Credits, as people and payments grant them and take them back."""

from contracts.errors import ConflictError, InvalidError
from contracts.events.credits import CreditsGranted, CreditsRevoked

from ledger.domain.charges import CORRECTION_PREFIX
from ledger.domain.commands import GrantCredits, RevokeCredits
from ledger.domain.decision import Decision, Draft
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
    if command.tokens <= 0:
        raise InvalidError("credits are revoked in positive amounts")
    if draft.lot is None:
        raise InvalidError(f"the account has no lot {command.lot_id}")
    if command.tokens > draft.lot.revocable:
        raise InvalidError(
            f"of lot {command.lot_id} {draft.lot.granted} tokens were granted and {draft.lot.revoked} revoked: "
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
        )
    )
    draft.exhaust_below(policy.smallest_call_tokens)
    return draft.balance_answer()
