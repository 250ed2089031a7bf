"""What a person asks of models, by the ledger's own commands: at working hours, with models and sizes of their own."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from chassis.ids import new_uuid7
from contracts.events.usage import UsageRecorded
from contracts.reservations import Granted, Refused
from contracts.usage import Outcome, TokenUsage, UsageSource
from ledger.application.content import content_hash, usage_hash
from ledger.demo.history import History
from ledger.domain.commands import ExpireReservation, ReserveTokens, SettleUsage
from ledger.domain.policy import Policy
from msgspec import Struct

from company.people import DAYS, Person
from company.timeline import Timeline

# Local hour → how likely a call is then: mornings and afternoons of an office, a little in the evening.
HOURS: Final = (1, 0, 0, 0, 0, 0, 1, 3, 9, 14, 15, 12, 6, 9, 15, 15, 13, 10, 6, 4, 5, 6, 4, 2)
CHEAP: Final = (("gpt-4o-mini", 52), ("gpt-4o", 22), ("claude-haiku-4-5", 18), ("claude-sonnet-4-5", 8))
STRONG: Final = (("gpt-4o-mini", 18), ("gpt-4o", 22), ("claude-sonnet-4-5", 42), ("claude-haiku-4-5", 18))
OUTCOMES: Final = ((Outcome.COMPLETED, 95), (Outcome.CLIENT_DISCONNECTED, 3), (Outcome.UPSTREAM_ERROR, 2))
ENDPOINT: Final = "/v1/chat/completions"
MAX_LAST_CALLS: Final = 400
"""Bound of the calls that bring a person near the end of the allowance."""
SMALLEST_PROMPT: Final = 20
PATIENCE: Final = 0.8
LATE: Final = timedelta(hours=3)
"""After its hold was charged, the usage of a call comes: a gateway was down, and its journal was published later."""


class Asked(Struct, frozen=True, kw_only=True):
    """A call as it was asked for, and what was answered: granted or refused."""

    at: datetime
    model: str
    prompt_tokens: int
    answer: Granted | Refused
    usage: UsageRecorded | None

    @property
    def is_refused(self) -> bool:
        return isinstance(self.answer, Refused)


class Chatting:
    """A person's calls on a timeline; `then` is told of each that was charged, by the time of that."""

    def __init__(
        self,
        policy: Policy,
        person: Person,
        history: History,
        timeline: Timeline,
        *,
        random: Random,
        then: Callable[[datetime], None],
    ) -> None:
        self._policy = policy
        self._person = person
        self._history = history
        self._timeline = timeline
        self._random = random
        self._then = then
        self._zone = ZoneInfo(policy.time_zone)
        self._models = STRONG if person.department.size_percent > 150 else CHEAP
        self.asked: list[Asked] = []

    def plan(self, opened_at: datetime, last_call: datetime) -> None:
        """All calls between these."""
        person, timeline = self._person, self._timeline
        for at in self._call_times(opened_at, last_call):
            timeline.plan(at, self._call)
        for number in range(person.lost_calls):
            timeline.plan(timeline.before_end(days=2 + 5 * number), self._lose)
        for number in range(person.late_calls):
            timeline.plan(timeline.before_end(days=3 + 9 * number), self._be_late)
        for number in range(person.in_flight):
            timeline.plan(timeline.before_end(seconds=20 + 15 * number), self._leave_open)
        if person.ends_near_percent is not None:
            timeline.plan(timeline.before_end(hours=30), partial(self._spend, MAX_LAST_CALLS))
        if person.suspended_days_ago is not None:
            for hours in (1, 1.1, 26):
                timeline.plan(last_call + timedelta(hours=hours), self._call)
        if person.ends_near_percent == 100:
            for hours in (20.5, 20.4, 3.2, 3.1, 0.6):
                timeline.plan(timeline.before_end(hours=hours), self._call)

    def _call_times(self, opened_at: datetime, last_call: datetime) -> Iterator[datetime]:
        person, random = self._person, self._random
        day = opened_at.astimezone(self._zone).replace(hour=0, minute=0, second=0, microsecond=0)
        while day < last_call:
            share = 1.0 if day.weekday() < 5 else 0.4 if person.weekends else 0.05
            # The company learns what it is good for: twice as much at the end as at the beginning.
            grown = 1.2 - 0.7 * (last_call - day) / timedelta(days=DAYS)
            wanted = person.calls_a_day * share * grown * random.uniform(0.4, 1.6)
            for _ in range(int(wanted + random.random())):
                hour = random.choices(range(24), HOURS)[0]
                at = day + timedelta(hours=hour, seconds=random.uniform(0, 3600))
                if opened_at < at < last_call:
                    yield at
            day += timedelta(days=1)

    def _spend(self, calls_left: int, at: datetime) -> None:
        """Call until the share of the allowance is used, or the account is told to be exhausted."""
        percent, account = self._person.ends_near_percent or 0, self._history.account(self._person.account_id)
        wanted = account.monthly_limit * percent // 100
        done = account.exhausted if percent == 100 else account.monthly_used >= wanted
        if done or not calls_left:
            return
        # A long document asked about again and again; less at a time near the goal, so as not to pass it by far.
        left = wanted - account.monthly_used
        self._ask(at, min(left // 3, 24_000) if left > 3_000 else SMALLEST_PROMPT, self._settle)
        self._timeline.plan(at + timedelta(seconds=self._random.uniform(40, 90)), partial(self._spend, calls_left - 1))

    def _call(self, at: datetime) -> None:
        """One chat turn; who was refused within a day tries again now and then."""
        last = self.asked[-1] if self.asked else None
        is_put_off = last is not None and last.is_refused and at - last.at < timedelta(days=1)
        if is_put_off and self._random.random() < PATIENCE:
            return
        self._ask(at, self._size(7.6, 0.9), self._settle)

    def _lose(self, at: datetime) -> None:
        """The gateway never tells how the call ended."""
        self._ask(at, self._size(7.6, 0.9), None)
        if isinstance(granted := self.asked[-1].answer, Granted):
            expire = ExpireReservation(account_id=self._person.account_id, reservation_id=granted.reservation_id)
            self._timeline.plan(
                at + self._policy.hold_ttl + timedelta(seconds=2), partial(self._history.execute, expire)
            )

    def _be_late(self, at: datetime) -> None:
        self._lose(at)
        asked = self.asked[-1]
        if isinstance(asked.answer, Granted):
            usage = self._usage(asked.answer, asked.model, asked.prompt_tokens, at)
            self._timeline.plan(at + LATE, partial(self._settle, usage))

    def _leave_open(self, at: datetime) -> None:
        self._ask(at, self._size(7.6, 0.5), None)

    def _ask(self, at: datetime, prompt: int, settle: Callable[[UsageRecorded, datetime], None] | None) -> None:
        model = weighted(self._random, self._models)
        reservation_id = new_uuid7()
        answer = self._history.execute(
            ReserveTokens(
                account_id=self._person.account_id,
                reservation_id=reservation_id,
                model=model,
                endpoint=ENDPOINT,
                prompt_tokens=prompt,
                content_hash=content_hash((model, prompt)),
                model_output_tokens=8_192,
            ),
            at,
        )
        assert isinstance(answer, Granted | Refused), "a reserve is granted or refused"
        usage = None
        if isinstance(answer, Granted) and settle is not None:
            usage = self._usage(answer, model, prompt, at)
            self._timeline.plan(at + timedelta(milliseconds=usage.duration_ms), partial(settle, usage))
        self.asked.append(Asked(at=at, model=model, prompt_tokens=prompt, answer=answer, usage=usage))

    def _size(self, mean: float, spread: float) -> int:
        """Tokens of a prompt with its conversation so far."""
        return min(
            max(SMALLEST_PROMPT, int(self._random.lognormvariate(mean, spread) * self._person.size_percent / 100)),
            60_000,
        )

    def _usage(self, granted: Granted, model: str, prompt: int, at: datetime) -> UsageRecorded:
        random = self._random
        outcome = weighted(random, OUTCOMES)
        failed = outcome is Outcome.UPSTREAM_ERROR
        wanted = int(random.lognormvariate(6.0, 0.7) * self._person.size_percent / 100)
        completion = 0 if failed else min(granted.output_tokens, max(8, wanted))
        # The estimate is a tokenizer's of another family for some models.
        real = prompt if model.startswith("gpt") else round(prompt * random.uniform(0.84, 1.0))
        cached = real // 2 if real > 2_000 and random.random() < 0.4 else 0
        return UsageRecorded(
            reservation_id=granted.reservation_id,
            model=model,
            endpoint=ENDPOINT,
            usage=TokenUsage()
            if failed
            else TokenUsage(prompt_tokens=real, cached_prompt_tokens=cached, completion_tokens=completion),
            usage_source=UsageSource.NONE if failed else UsageSource.PROVIDER,
            outcome=outcome,
            status=500 if failed else 200,
            started_at=at,
            duration_ms=600 + completion * random.randrange(12, 30),
            first_token_ms=None if failed else random.randrange(250, 1_400),
            estimated_prompt_tokens=prompt,
            conversation_id=f"{self._person.account_id}-{at:%Y%m%d}",
        )

    def _settle(self, usage: UsageRecorded, at: datetime) -> None:
        settle = SettleUsage(account_id=self._person.account_id, usage=usage, content_hash=usage_hash(usage))
        self._history.execute(settle, at, causation_id=new_uuid7())
        self._then(at)


def weighted[Choice](random: Random, choices: Sequence[tuple[Choice, int]]) -> Choice:
    """One of them, the likelier the heavier."""
    values, weights = zip(*choices, strict=True)
    chosen: Choice = random.choices(values, weights)[0]
    return chosen
