"""One batch of commands: decided in turn, and everything that they led to as rows."""

from collections.abc import Sequence

import structlog
from chassis.ids import new_uuid7
from contracts.balance import Balance
from contracts.codec import encode
from contracts.errors import ConflictError, RefusalCode, SolarisError, UnavailableError
from contracts.events.reservations import UsageSettled
from contracts.reservations import Refused
from msgspec import json
from prometheus_client import Counter

from ledger.application.openings import Openings
from ledger.application.submission import Submission
from ledger.domain.commands import ReserveTokens
from ledger.domain.decide import decide
from ledger.domain.decision import Answer, Decision
from ledger.domain.policy import Policy
from ledger.metrics import CORRECTIONS, DEBT_TOKENS, UNKNOWN_PLAN, UNOWED_TOKENS, UNPRICED, UNRESERVED
from ledger.store.codec import TYPES, NewerStateError, StoredEvent, chain_hash
from ledger.store.rows import BatchState, ChainedAccount, Changes, EventRow, StoredCommand

log = structlog.get_logger()

type Result = Answer | SolarisError


class DecisionFailedError(SolarisError):
    """A defect of ours met this command; it changed nothing, and sending it again would meet the defect again."""


class UnreadableStateError(SolarisError):
    """What is stored of this account can't be read by this version: nothing is decided on it, and nothing changed."""


class NewerAccountError(UnavailableError):
    """A newer process beside this one has written this account: that one can decide, so it is to be asked again."""


def decide_batch(
    batch: Sequence[Submission],
    state: BatchState,
    changes: Changes,
    policy: Policy,
    openings: Openings | None = None,
) -> list[Result]:
    """Decide each command on what the ones before it left; an error of one changes nothing and fails it alone.

    What is to be written is added to `changes`. `openings` caps how fast a key's reserves open accounts.
    """
    results: list[Result] = []
    for submission in batch:
        try:
            results.append(_decide_one(submission, state, changes, policy, openings))
        except SolarisError as error:
            results.append(error)
        except Exception as error:  # a defect that one command meets must not take the batch with it
            log.exception("decision_failed", command=type(submission.command).__name__)
            results.append(DecisionFailedError(repr(error)))
    return results


def _decide_one(
    submission: Submission, state: BatchState, changes: Changes, policy: Policy, openings: Openings | None
) -> Answer:
    account_id = submission.account_id
    if (unreadable := state.unreadable.get(account_id)) is not None:
        if isinstance(unreadable, NewerStateError):
            raise NewerAccountError(f"account {account_id}: {unreadable}") from unreadable
        raise UnreadableStateError(f"account {account_id}: {unreadable!r}") from unreadable
    if (repeated := _repeated(submission, state)) is not None:
        return repeated
    chained = state.accounts[account_id]
    command = submission.command
    if (
        isinstance(command, ReserveTokens)
        and not chained.account.is_open
        and openings is not None
        and not submission.may_open
    ):
        if not openings.allow(submission.key_id):
            return Refused(reservation_id=command.reservation_id, code=RefusalCode.RATE_LIMITED, retry_after_seconds=1)
        submission.may_open = True
    hold_key = (account_id, submission.reservation_id or "")
    hold = state.holds.get(hold_key)
    lot_key = (account_id, submission.lot_id or "")
    lot = state.lots.get(lot_key)
    now = state.now or state.clock
    decision = decide(chained.account, hold, submission.command, now, policy, lot=lot, clock=state.clock)
    if isinstance(command, ReserveTokens) and decision.account.plan not in policy.catalog.plans:
        changes.counts.append((account_id, UNKNOWN_PLAN, 1))
    if decision.events:
        _append(submission, chained, decision, changes)
    if decision.hold is not None and decision.hold is not hold:
        state.holds[hold_key] = changes.holds[hold_key] = decision.hold
    if decision.lot is not None and decision.lot is not lot:
        state.lots[lot_key] = changes.lots[lot_key] = decision.lot
    if submission.idempotency is not None:
        key = (account_id, submission.idempotency.command_id)
        stored = StoredCommand(submission.idempotency.content_hash, encode(decision.answer).decode())
        state.commands[key] = changes.commands[key] = stored
    if submission.audit is not None:
        changes.audit.append((account_id, submission.audit))
    return decision.answer


def _repeated(submission: Submission, state: BatchState) -> Answer | None:
    if submission.idempotency is None:
        return None
    stored = state.commands.get((submission.account_id, submission.idempotency.command_id))
    if stored is None:
        return None
    if stored.content_hash != submission.idempotency.content_hash:
        raise ConflictError(f"command {submission.idempotency.command_id} was executed with another content")
    return json.decode(stored.answer, type=Balance)


def _append(submission: Submission, chained: ChainedAccount, decision: Decision, changes: Changes) -> None:
    account_id, version, head = submission.account_id, chained.account.version, chained.head
    recorded_at = decision.account.last_event_at
    assert recorded_at is not None, "a decision with events has a time"
    rows: list[EventRow] = []
    for event in decision.events:
        version += 1
        event_id = new_uuid7()
        event_type = TYPES[type(event)]
        data = encode(
            StoredEvent(
                id=event_id,
                type=event_type,
                subject=account_id,
                time=recorded_at,
                correlationid=submission.reservation_id,
                causationid=submission.causation_id,
                data=event,
            )
        )
        head = chain_hash(head, account_id, version, data)
        rows.append(EventRow(account_id, version, event_id, event_type, recorded_at, data, head))
    if (debt := decision.account.debt - chained.account.debt) > 0:
        changes.counts.append((account_id, DEBT_TOKENS, debt))
    if (unowed := decision.account.unowed - chained.account.unowed) > 0:
        changes.counts.append((account_id, UNOWED_TOKENS, unowed))
    for event in decision.events:
        if isinstance(event, UsageSettled):
            changes.counts.extend((account_id, counter, 1) for counter in _counters_of(event))
    changes.events.extend(rows)
    chained.account, chained.head = decision.account, head
    changes.accounts[account_id] = chained


def _counters_of(settled: UsageSettled) -> list[Counter]:
    counters = []
    if settled.unreserved:
        counters.append(UNRESERVED)
    if settled.price_known is False:
        counters.append(UNPRICED)
    if settled.corrects_billable_tokens is not None:
        counters.append(CORRECTIONS)
    return counters
