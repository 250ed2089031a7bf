"""Given events and commands, when a command, then events and a balance: an account's story without mocks."""

from datetime import UTC, datetime, timedelta
from typing import Self

from contracts.balance import Balance
from contracts.events.accounts import RateLimits
from contracts.events.rates import Rates
from contracts.events.registry import LedgerEvent
from contracts.reservations import Granted, Refused
from contracts.usage import Outcome, TokenUsage
from ledger.domain.account import Account
from ledger.domain.catalog import Catalog, Model, Plan
from ledger.domain.commands import (
    ChangeLimit,
    ChangePlan,
    ChangeRateLimits,
    ChangeStatus,
    ChangeThresholds,
    Command,
    CorrectCycle,
    EndSubscription,
    ExpireReservation,
    GrantCredits,
    OpenAccount,
    ReserveTokens,
    RestoreCredits,
    Revision,
    RevokeCredits,
    SettleUsage,
    SubscribePlan,
)
from ledger.domain.decide import as_of, decide
from ledger.domain.decision import Answer, Decision
from ledger.domain.evolve import evolve
from ledger.domain.holds import Hold, evolve_hold
from ledger.domain.lots import LotRecord, evolve_lot
from ledger.domain.policy import Policy

from tests.support.gateway_messages import usage_recorded
from tests.support.ledger_commands import reserve_tokens, settle_usage

ACCOUNT_ID = "person-1"
START = datetime(2026, 1, 10, 12, tzinfo=UTC)
"""Accounts of the tests open on the 10th, in UTC: their cycles run from the 10th to the 10th."""

CATALOG = Catalog(
    version="2026-01",
    plans={
        "basic": Plan(name="basic", monthly_tokens=10_000),
        "premium": Plan(name="premium", monthly_tokens=20_000),
        "trial": Plan(name="trial", monthly_tokens=1_000, models=("small-*",)),
        "paced": Plan(
            name="paced", monthly_tokens=1_000_000, rate_limits=RateLimits(requests_per_minute=2, tokens_per_minute=600)
        ),
    },
    models=(
        Model(pattern="known", max_output_tokens=1_000),
        Model(
            pattern="weighted",
            max_output_tokens=1_000,
            rates=Rates(
                prompt_weight_millionths=500_000,
                cached_prompt_weight_millionths=50_000,
                cache_write_weight_millionths=625_000,
                completion_weight_millionths=2_000_000,
                prompt_price_micros=1_000_000,
                cached_prompt_price_micros=100_000,
                cache_write_price_micros=1_250_000,
                completion_price_micros=4_000_000,
            ),
        ),
        Model(pattern="free-output", rates=Rates(completion_weight_millionths=0)),
    ),
)
POLICY = Policy(catalog=CATALOG, time_zone="UTC")


class Story:
    """One account as the ledger runs it: commands in, events folded, reservations' records kept beside.

    Every decision is checked against its own events, so no test can pass on a state that a rebuild would not reach.
    """

    def __init__(self, policy: Policy = POLICY, now: datetime = START) -> None:
        self.policy = policy
        self.now = now
        self.account = Account(account_id=ACCOUNT_ID)
        self.holds: dict[str, Hold] = {}
        self.lot_records: dict[str, LotRecord] = {}
        self.log: list[tuple[datetime, LedgerEvent]] = []
        self.events: tuple[LedgerEvent, ...] = ()
        """Of the last command."""

    def given(self, *commands: Command) -> Self:
        for command in commands:
            self.when(command)
        return self

    def when(self, command: Command) -> Answer:
        reservation_id = getattr(command, "reservation_id", "")
        lot_id = getattr(command, "lot_id", "")
        hold, lot = self.holds.get(reservation_id), self.lot_records.get(lot_id)
        decision = decide(self.account, hold, command, self.now, self.policy, lot=lot)
        self._record(decision, reservation_id, lot_id, command)
        return decision.answer

    def at(self, now: datetime) -> Self:
        self.now = now
        return self

    def after(self, **duration: float) -> Self:
        self.now += timedelta(**duration)
        return self

    def happened[Event](self, event_type: type[Event]) -> list[Event]:
        """Events of that type among the last command's."""
        return [event for event in self.events if isinstance(event, event_type)]

    def logged[Event](self, event_type: type[Event]) -> list[Event]:
        """Events of that type since the account was opened."""
        return [event for _, event in self.log if isinstance(event, event_type)]

    @property
    def balance(self) -> Balance:
        """As a read at this moment answers it."""
        return as_of(self.account, self.now, self.policy).balance()

    @property
    def lots(self) -> dict[str, int]:
        return {lot.id: lot.tokens for lot in self.account.lots}

    def _record(self, decision: Decision, reservation_id: str, lot_id: str, command: Command) -> None:
        corrects_time = isinstance(command, CorrectCycle)
        at = self.now if corrects_time else max(self.now, self.account.last_event_at or self.now)
        account, hold, lot = self.account, self.holds.get(reservation_id), self.lot_records.get(lot_id)
        for event in decision.events:
            account = evolve(account, event, at)
            hold = evolve_hold(hold, event, at)
            lot = evolve_lot(lot, event, at)
        assert account == decision.account
        assert hold == decision.hold
        assert lot == decision.lot
        if lot is not None:
            self.lot_records[lot_id] = lot
        self.account, self.events = decision.account, decision.events
        self.log.extend((at, event) for event in decision.events)
        if decision.hold is not None:
            self.holds[reservation_id] = decision.hold


def granted(answer: Answer) -> Granted:
    assert isinstance(answer, Granted), answer
    return answer


def refused(answer: Answer) -> Refused:
    assert isinstance(answer, Refused), answer
    return answer


def opened(plan: str | None = None, *, anchor_day: int | None = None) -> OpenAccount:
    return OpenAccount(account_id=ACCOUNT_ID, plan=plan, anchor_day=anchor_day)


def reserve(
    reservation_id: str,
    *,
    prompt: int = 0,
    maximum: int | None = None,
    model: str = "known",
    model_maximum: int | None = None,
    thinking: int = 0,
    choices: int = 1,
    output_free: bool = False,
    content_hash: str = "content",
    observed: bool = False,
) -> ReserveTokens:
    return reserve_tokens(
        ACCOUNT_ID,
        reservation_id,
        model=model,
        prompt=prompt,
        content_hash=content_hash,
        maximum=maximum,
        model_output_tokens=model_maximum,
        thinking_tokens=thinking,
        choices=choices,
        output_free=output_free,
        observed=observed,
    )


def settle(
    reservation_id: str,
    *,
    prompt: int = 0,
    cached: int = 0,
    cache_write: int = 0,
    completion: int = 0,
    outcome: Outcome = Outcome.COMPLETED,
    model: str = "known",
    forwarded_without_hold: bool = False,
    observed: bool = False,
    started_at: datetime = START,
) -> SettleUsage:
    usage = TokenUsage(
        prompt_tokens=prompt,
        cached_prompt_tokens=cached,
        cache_write_tokens=cache_write,
        completion_tokens=completion,
    )
    recorded = usage_recorded(
        reservation_id,
        model=model,
        usage=usage,
        outcome=outcome,
        started_at=started_at,
        duration_ms=1_500,
        first_token_ms=200,
        estimated_prompt_tokens=prompt,
        conversation_id="conversation-1",
        forwarded_without_hold=forwarded_without_hold,
        observed=observed,
    )
    return settle_usage(ACCOUNT_ID, recorded, f"{usage}{outcome}{model}")


def not_forwarded(reservation_id: str) -> SettleUsage:
    return settle(reservation_id, outcome=Outcome.NOT_FORWARDED)


def expire(reservation_id: str) -> ExpireReservation:
    return ExpireReservation(account_id=ACCOUNT_ID, reservation_id=reservation_id)


def grant(lot_id: str, tokens: int, *, expires_at: datetime | None = None) -> GrantCredits:
    return GrantCredits(
        account_id=ACCOUNT_ID,
        lot_id=lot_id,
        tokens=tokens,
        source="purchase",
        reference=f"order-{lot_id}",
        expires_at=expires_at,
    )


def revoke(lot_id: str, tokens: int, revision: Revision | None = None) -> RevokeCredits:
    return RevokeCredits(
        account_id=ACCOUNT_ID, lot_id=lot_id, tokens=tokens, reference=f"refund-{lot_id}", revision=revision
    )


def restore(lot_id: str, tokens: int, revision: Revision | None = None) -> RestoreCredits:
    return RestoreCredits(
        account_id=ACCOUNT_ID, lot_id=lot_id, tokens=tokens, reference=f"dispute-{lot_id}", revision=revision
    )


def subscribed(
    plan: str,
    revision: int = 1,
    *,
    period: datetime = START,
    subscription_id: str = "sub-1",
    gap_allowed: bool = False,
) -> SubscribePlan:
    return SubscribePlan(
        account_id=ACCOUNT_ID,
        subscription_id=subscription_id,
        revision=Revision(revision, gap_allowed),
        plan=plan,
        period_starts_at=period,
        period_ends_at=period + timedelta(days=31),
    )


def ended(
    revision: int = 2, *, subscription_id: str = "sub-1", gap_allowed: bool = False, is_taken_back: bool = False
) -> EndSubscription:
    return EndSubscription(
        account_id=ACCOUNT_ID,
        subscription_id=subscription_id,
        revision=Revision(revision, gap_allowed),
        is_taken_back=is_taken_back,
    )


def plan(name: str) -> ChangePlan:
    return ChangePlan(account_id=ACCOUNT_ID, plan=name)


def limit(tokens: int) -> ChangeLimit:
    return ChangeLimit(account_id=ACCOUNT_ID, monthly_limit=tokens)


def thresholds(*percents: int) -> ChangeThresholds:
    return ChangeThresholds(account_id=ACCOUNT_ID, thresholds=percents)


def rate_limits(*, requests: int | None = None, tokens: int | None = None) -> ChangeRateLimits:
    return ChangeRateLimits(
        account_id=ACCOUNT_ID, rate_limits=RateLimits(requests_per_minute=requests, tokens_per_minute=tokens)
    )


def status(name: str) -> ChangeStatus:
    return ChangeStatus(account_id=ACCOUNT_ID, status=name)


def used(reservation_id: str, tokens: int) -> tuple[ReserveTokens, SettleUsage]:
    """A whole call that uses exactly `tokens`, all of them prompt."""
    return reserve(reservation_id, prompt=tokens, output_free=True), settle(reservation_id, prompt=tokens)
