"""Drives an account and its naive second side by side."""

from datetime import datetime

from contracts.errors import RefusalCode
from contracts.events.reservations import UsageSettled
from contracts.reservations import Granted, RefusalFigures, Refused
from hypothesis.stateful import RuleBasedStateMachine
from ledger.domain.commands import AdvanceAccount, Command, ReserveTokens, SettleUsage
from ledger.domain.holds import HoldState
from ledger.domain.windows import Cap, Scope
from msgspec.structs import replace

from tests.unit.ledger.account_model import AccountModel, ReservationModel
from tests.unit.ledger.estimates import as_estimate, estimate_of
from tests.unit.ledger.messages import told
from tests.unit.ledger.story import ACCOUNT_ID, POLICY, START, Story, expire, opened, reserve, settle
from tests.unit.ledger.told_statement import ToldStatement

CAPS = (Cap(Scope.DAY, 10**9), Cap(Scope.WEEK, 10**9, "known"), Cap(Scope.MONTH, 10**9, "other-*"))
CAPPED = replace(
    POLICY,
    catalog=replace(
        POLICY.catalog, plans={name: replace(plan, caps=CAPS) for name, plan in POLICY.catalog.plans.items()}
    ),
)
"""Windows that are counted and never bind: what they do to a call has tests of its own."""


class AccountDriver(RuleBasedStateMachine):
    """Gives each command to the account and to the naive one, and compares what people are told."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story(CAPPED).given(opened())
        self.model = AccountModel(limit=10_000, now=START)
        self.ends: list[SettleUsage] = []
        self.number = 0
        self.may_be_negative = False
        self.statement = ToldStatement()
        self.told_events = 0

    def hold(self, command: ReserveTokens) -> None:
        self.advance_model()
        before = self.model.available
        match self.story.when(command):
            case Granted() as answer:
                assert answer.held_tokens <= before
                assert answer.available == before - answer.held_tokens
                self.model.reserve(command.reservation_id, answer.held_tokens, self.story.now + POLICY.hold_ttl)
                self.check_told()
                assert self.story.when(command) == answer
                assert self.story.events == ()
            case Refused(code=RefusalCode.INSUFFICIENT_TOKENS, figures=RefusalFigures() as figures):
                assert figures.needed > before == figures.available
                assert (figures.held, figures.cap) == (self.model.held, None)
                self.model.refuse()
                assert figures.exhausted == self.model.out
                self.check_told()
            case answer:
                raise AssertionError(answer)

    def hold_share(self, share: int) -> ReservationModel | None:
        """Ask for that percentage of what is left; None where it is refused."""
        prompt = max(1, self.story.balance.available * share // 100)
        reservation_id = self.new_id("r")
        self.hold(reserve(reservation_id, prompt=prompt, output_free=True))
        return self.model.reservations.get(reservation_id)

    def expire_hold(self, reservation: ReservationModel) -> None:
        self.advance_model()
        if self.story.now >= reservation.expires_at:
            self.model.expire(reservation.id)
        self.command(expire(reservation.id))

    def end_hold(
        self,
        reservation: ReservationModel,
        share: int,
        plus: int,
        *,
        estimated: bool = False,
        corrects: SettleUsage | None = None,
    ) -> None:
        tokens = reservation.tokens * share // 100 + plus
        command = settle(reservation.id, prompt=tokens)
        if estimated:
            command = as_estimate(command)
        if corrects is not None:
            command = replace(command, corrects_estimate=estimate_of(corrects))
        self.may_be_negative |= tokens > reservation.tokens
        self.advance_model()
        self.model.end(reservation.id, tokens, self.story.now)
        self.command(command)
        self.ends.append(command)
        (settled,) = self.story.happened(UsageSettled)
        parts = settled.from_allowance + sum(part.tokens for part in settled.from_credits)
        parts += settled.to_debt + settled.to_unowed
        assert parts == settled.billable_tokens == tokens
        assert self.story.holds[reservation.id].state is HoldState.SETTLED

    def command(self, command: Command) -> None:
        self.story.when(command)
        self.check_told()

    def check_told(self) -> None:
        assert told(self.story.events) == self.model.told
        self.model.told.clear()

    def advance_model(self) -> None:
        self.model.told.clear()
        self.model.advance(self.story.now)

    def go_to(self, now: datetime, act: bool) -> None:
        self.story.now = now
        if act:
            self.advance_model()
            self.command(AdvanceAccount(account_id=ACCOUNT_ID))

    def new_id(self, prefix: str) -> str:
        self.number += 1
        return f"{prefix}{self.number}"

    def open_holds(self) -> list[ReservationModel]:
        return self.in_state("open")

    def in_state(self, state: str) -> list[ReservationModel]:
        return [each for each in self.model.reservations.values() if each.state == state]

    @staticmethod
    def pick_one[Thing](things: list[Thing], pick: int) -> Thing:
        return things[pick % len(things)]
