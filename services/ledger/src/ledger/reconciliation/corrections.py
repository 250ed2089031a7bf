"""Puts right by new events what LiteLLM's figures show: holds that were charged for lost usage, and our estimates."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from chassis.dead_letters import GivenUp
from chassis.ids import new_uuid7
from contracts.accounts import subject_token
from contracts.codec import encode
from contracts.envelope import CloudEvent, cloud_event_type
from contracts.errors import ConflictError, InvalidError
from contracts.events.registry import USAGE_RECORDED
from contracts.events.reservations import CorrectedEstimate
from contracts.events.usage import UsageRecorded
from contracts.subjects import LEDGER_USAGE_CONSUMER, event_subject
from contracts.usage import Outcome, TokenUsage, UsageSource
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.application.content import usage_hash
from ledger.application.executor import Executor
from ledger.application.submission import Kind
from ledger.domain.commands import SettleUsage
from ledger.domain.decision import Ended
from ledger.reconciliation.comparing import Pair, compare
from ledger.store.dead_letters import LETTERS
from ledger.store.reconciliation.rows import CallState, LedgerCall, UpstreamCall

ANSWER_SECONDS: Final = 30.0
SOURCE: Final = "solaris/reconciliation"


class Corrected(Struct):
    """How many were put right, had been already, or were given up on: then a dead letter says why."""

    corrected: int = 0
    unchanged: int = 0
    refused: int = 0


def correction_of(pair: Pair) -> SettleUsage | None:
    """The settlement that takes over LiteLLM's figures; None where they put nothing right.

    It is the ordinary one of a call: what is charged and given back by it, and that it happens once, the account's
    rules decide. The call began when we say it did, so it is counted where it was counted before.
    """
    ours, theirs, compared = pair.ours, pair.theirs, compare(pair)
    if compared is None or compared.finding is None or not compared.finding.correctable:
        return None
    assert ours is not None, "what is corrected has both sides"
    assert theirs is not None, "as above"
    is_estimate = ours.state is CallState.SETTLED
    tokens, mine = theirs.tokens, ours.tokens
    usage = UsageRecorded(
        reservation_id=ours.call_id,
        model=ours.model,
        endpoint=ours.endpoint,
        usage=TokenUsage(
            prompt_tokens=tokens.prompt,
            completion_tokens=tokens.completion,
            cached_prompt_tokens=min(tokens.prompt, _told(tokens.cached_prompt, mine.cached_prompt)),
            cache_write_tokens=min(tokens.prompt, _told(tokens.cache_write, mine.cache_write)),
            reasoning_tokens=min(tokens.completion, _told(tokens.reasoning, mine.reasoning)),
        ),
        # The gateway's own word, should it come late after all, is the same figure then, and no second one.
        usage_source=UsageSource.PROVIDER_REPAIRED if is_estimate else UsageSource.PROVIDER,
        outcome=_outcome(ours, theirs),
        status=ours.status if is_estimate else 200,
        started_at=ours.started_at,
        duration_ms=int((theirs.ended_at - theirs.started_at).total_seconds() * 1_000),
        forwarded_without_hold=ours.unreserved,
    )
    return SettleUsage(
        account_id=ours.account_id,
        usage=usage,
        content_hash=usage_hash(usage),
        corrects_estimate=_estimate(ours) if is_estimate else None,
    )


async def correct(executor: Executor, engine: AsyncEngine, pages: AsyncIterator[Sequence[SettleUsage]]) -> Corrected:
    """Carry out page after page; what is decided stands, and doing it again changes nothing.

    Raises:
        UnavailableError: the database does not answer.
    """
    done = Corrected()
    async for page in pages:
        event_id = new_uuid7()
        waiting = [
            executor.submit(command, Kind.USAGE, deadline_seconds=ANSWER_SECONDS, causation_id=event_id)
            for command in page
        ]
        for command, answer in zip(page, waiting, strict=True):
            try:
                ended = await answer
            except (ConflictError, InvalidError) as error:
                done.refused += 1
                await LETTERS.keep(engine, _letter(command, str(error)))
            else:
                changed = isinstance(ended, Ended) and ended.changed
                done.corrected += changed
                done.unchanged += not changed
    return done


def _letter(command: SettleUsage, reason: str) -> GivenUp:
    event = CloudEvent(
        id=new_uuid7(),
        type=cloud_event_type(USAGE_RECORDED),
        source=SOURCE,
        subject=command.account_id,
        time=command.usage.started_at,
        data=command.usage,
    )
    return GivenUp(
        consumer=LEDGER_USAGE_CONSUMER,
        message_id=f"reconciliation:{command.content_hash}:{command.reservation_id}"[:128],
        subject=event_subject(USAGE_RECORDED, subject_token(command.account_id)),
        payload=encode(event),
        reason=reason,
    )


def _outcome(ours: LedgerCall, theirs: UpstreamCall) -> Outcome:
    if ours.state is CallState.SETTLED:
        return Outcome(ours.outcome)
    if not theirs.tokens.total:
        return Outcome.UPSTREAM_ERROR
    return Outcome.INTERRUPTED if theirs.failed else Outcome.COMPLETED


def _estimate(ours: LedgerCall) -> CorrectedEstimate:
    tokens = ours.tokens
    return CorrectedEstimate(
        content_hash=ours.content_hash,
        usage=TokenUsage(
            prompt_tokens=tokens.prompt,
            completion_tokens=tokens.completion,
            cached_prompt_tokens=tokens.cached_prompt or 0,
            cache_write_tokens=tokens.cache_write or 0,
            reasoning_tokens=tokens.reasoning or 0,
        ),
        cost_usd_micros=ours.cost_usd_micros,
        price_known=ours.price_known,
        unreserved_rates=ours.unreserved_rates,
        catalog_version=ours.catalog_version,
    )


def _told(theirs: int | None, ours: int | None) -> int:
    return theirs if theirs is not None else ours or 0
