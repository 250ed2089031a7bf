"""Weeks of plausible chat: day and night, work and weekend, several models, purchases and a suspension."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from chassis.ids import new_uuid7
from contracts.events.usage import UsageRecorded
from contracts.reservations import Granted
from contracts.usage import Outcome, TokenUsage, UsageSource

from ledger.application.content import content_hash, usage_hash
from ledger.demo.history import History
from ledger.demo.people import Person
from ledger.domain.commands import (
    AdvanceAccount,
    ChangeStatus,
    GrantCredits,
    OpenAccount,
    ReserveTokens,
    SettleUsage,
)
from ledger.domain.policy import Policy
from ledger.store.rows import AuditEntry, Changes

# Local hour → how likely a call is then: mornings and afternoons of an office, a little in the evening.
HOURS: Final = (1, 0, 0, 0, 0, 0, 1, 3, 9, 14, 15, 12, 6, 9, 15, 15, 13, 10, 6, 4, 5, 6, 4, 2)
MODELS: Final = (("gpt-4o-mini", 46), ("gpt-4o", 22), ("claude-sonnet-4-5", 20), ("claude-haiku-4-5", 12))
OUTCOMES: Final = ((Outcome.COMPLETED, 95), (Outcome.CLIENT_DISCONNECTED, 3), (Outcome.UPSTREAM_ERROR, 2))
MAX_LAST_CALLS: Final = 2_000
"""Bound of the calls that bring an account near the end of its allowance."""
LAST_MINUTE: Final = timedelta(minutes=2)


class Life:
    """Everything that these people did until `now`, in the order of time."""

    def __init__(self, policy: Policy, people: Sequence[Person], now: datetime) -> None:
        self._policy = policy
        self._people = people
        self._now = now
        self._ends_at = now - LAST_MINUTE
        self._time_zone = ZoneInfo(policy.time_zone)
        self._random = Random(20_261)  # noqa: S311  a demo, the same every time
        self._history = History(policy, now)
        self._due: list[tuple[datetime, int, Callable[[datetime], object]]] = []
        self._order = count()

    def run(self) -> Changes:
        """Live it; returns the rows."""
        for person in self._people:
            self._plan(person)
        while self._due:
            at, _, act = heapq.heappop(self._due)
            act(at)
        for person in self._people:
            self._history.execute(AdvanceAccount(account_id=person.account_id), self._ends_at)
        return self._history.take()

    def _at(self, at: datetime, act: Callable[[datetime], object]) -> None:
        heapq.heappush(self._due, (min(at, self._ends_at), next(self._order), act))

    def _plan(self, person: Person) -> None:
        opened_at = self._now - timedelta(days=person.opened_days_ago, minutes=self._random.randrange(600))
        plan = person.plan if person.plan in self._policy.catalog.plans else None
        self._at(opened_at, partial(self._history.execute, OpenAccount(account_id=person.account_id, plan=plan)))
        for number, (days_ago, tokens) in enumerate(person.purchases, start=1):
            grant = GrantCredits(
                account_id=person.account_id,
                lot_id=f"order:{person.account_id}-{number}",
                tokens=tokens,
                source="purchase",
                reference=f"{person.account_id}-{number}",
            )
            self._at(self._now - timedelta(days=days_ago, hours=2), partial(self._history.execute, grant))
        last_call = self._ends_at
        if person.suspended_days_ago is not None:
            last_call = self._now - timedelta(days=person.suspended_days_ago)
            self._at(last_call, partial(self._suspend, person))
        for at in self._call_times(person, opened_at, last_call):
            self._at(at, partial(self._call, person))
        if person.ends_near_percent is not None:
            self._at(self._now - timedelta(hours=30), partial(self._spend, person, MAX_LAST_CALLS))

    def _call_times(self, person: Person, opened_at: datetime, last_call: datetime) -> Iterator[datetime]:
        day = opened_at.astimezone(self._time_zone).replace(hour=0, minute=0, second=0, microsecond=0)
        while day < last_call:
            share = 100 if day.weekday() < 5 else 45 if person.weekends else 8
            for _ in range(round(person.calls_a_day * share / 100 * self._random.uniform(0.5, 1.5))):
                hour = self._random.choices(range(24), HOURS)[0]
                at = day + timedelta(hours=hour, seconds=self._random.uniform(0, 3600))
                if opened_at < at < last_call:
                    yield at
            day += timedelta(days=1)

    def _suspend(self, person: Person, at: datetime) -> None:
        audit_id = new_uuid7()
        self._history.execute(
            ChangeStatus(account_id=person.account_id, status="suspended", reason_id=audit_id),
            at,
            audit=AuditEntry(
                id=audit_id,
                actor="operator:demo",
                action="suspend",
                reason=person.suspension_reason,
                details={"account_id": person.account_id},
            ),
        )

    def _spend(self, person: Person, calls_left: int, at: datetime) -> None:
        """Call until the share of the allowance is used, or the account is told to be exhausted."""
        account = self._history.account(person.account_id)
        wanted = account.monthly_limit * (person.ends_near_percent or 0) // 100
        done = account.exhausted if person.ends_near_percent == 100 else account.monthly_used >= wanted
        if done or not calls_left:
            return
        self._call(person, at)
        later = at + timedelta(seconds=self._random.uniform(10, 50))
        self._at(later, partial(self._spend, person, calls_left - 1))

    def _call(self, person: Person, at: datetime) -> None:
        """One chat turn, unless it is refused."""
        model = _weighted(self._random, MODELS)
        prompt = max(20, int(self._random.lognormvariate(6.9, 0.8) * person.size_percent / 100))
        reservation_id = new_uuid7()
        answer = self._history.execute(
            ReserveTokens(
                account_id=person.account_id,
                reservation_id=reservation_id,
                model=model,
                endpoint="/v1/chat/completions",
                prompt_tokens=prompt,
                content_hash=content_hash((model, prompt)),
                model_output_tokens=8_192,
            ),
            at,
        )
        if not isinstance(answer, Granted):
            return
        usage = self._usage(answer, model, prompt, person, at)
        seconds = usage.duration_ms / 1_000
        self._at(at + timedelta(seconds=seconds), partial(self._settle, person.account_id, usage))

    def _usage(self, granted: Granted, model: str, prompt: int, person: Person, at: datetime) -> UsageRecorded:
        outcome = _weighted(self._random, OUTCOMES)
        failed = outcome is Outcome.UPSTREAM_ERROR
        wanted = int(self._random.lognormvariate(5.9, 0.7) * person.size_percent / 100)
        completion = 0 if failed else min(granted.output_tokens, max(8, wanted))
        cached = prompt // 2 if prompt > 2_000 and self._random.random() < 0.4 else 0
        return UsageRecorded(
            reservation_id=granted.reservation_id,
            model=model,
            endpoint="/v1/chat/completions",
            usage=TokenUsage()
            if failed
            else TokenUsage(prompt_tokens=prompt, cached_prompt_tokens=cached, completion_tokens=completion),
            usage_source=UsageSource.NONE if failed else UsageSource.PROVIDER,
            outcome=outcome,
            status=500 if failed else 200,
            started_at=at,
            duration_ms=600 + completion * self._random.randrange(12, 30),
            first_token_ms=None if failed else self._random.randrange(250, 1_400),
            estimated_prompt_tokens=prompt,
            conversation_id=f"{person.account_id}-{at:%Y%m%d}",
        )

    def _settle(self, account_id: str, usage: UsageRecorded, at: datetime) -> None:
        settle = SettleUsage(account_id=account_id, usage=usage, content_hash=usage_hash(usage))
        self._history.execute(settle, at, causation_id=new_uuid7())


def _weighted[Choice](random: Random, weighted: Sequence[tuple[Choice, int]]) -> Choice:
    choices, weights = zip(*weighted, strict=True)
    chosen: Choice = random.choices(choices, weights)[0]
    return chosen
