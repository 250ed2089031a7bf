"""Any interleaving of commands, repetitions and time: the account agrees with a naive second one and with itself."""

from copy import deepcopy
from datetime import timedelta

import pytest
from contracts.errors import ConflictError, InvalidError, RefusalCode
from contracts.reservations import Refused
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from ledger.domain.account import Account
from ledger.domain.commands import CorrectCycle
from ledger.domain.decide import as_of
from ledger.domain.evolve import evolve
from ledger.domain.holds import Hold, evolve_hold

from tests.unit.ledger import conservation
from tests.unit.ledger.account_driver import AccountDriver
from tests.unit.ledger.histories import events_of
from tests.unit.ledger.messages import MADE_BY_TIME
from tests.unit.ledger.round_trip import assert_state_survives_json, assert_survives_json
from tests.unit.ledger.story import (
    ACCOUNT_ID,
    CATALOG,
    grant,
    limit,
    not_forwarded,
    plan,
    reserve,
    revoke,
    settle,
    status,
)
from tests.unit.ledger.told_statement import standing

amounts = st.one_of(st.integers(0, 1_500), st.integers(0, 12_000), st.sampled_from([0, 1, 255, 256, 10_000]))
picks = st.integers(0, 10**6)
durations = st.sampled_from(
    [timedelta(seconds=1), timedelta(minutes=14), timedelta(minutes=16), timedelta(days=5), timedelta(days=31)]
)

lifetimes = st.none() | durations


class AccountMachine(AccountDriver):
    # --- commands -------------------------------------------------------------------------------------------------

    @initialize(tokens=st.integers(0, 3_000), lots=st.lists(st.tuples(st.integers(1, 1_500), lifetimes), max_size=3))
    def start_small(self, tokens: int, lots: list[tuple[int, timedelta | None]]) -> None:
        self.change_limit(tokens)
        for lot_tokens, lifetime in lots:
            self.grant(lot_tokens, lifetime)

    @rule(prompt=amounts, maximum=st.none() | amounts, choices=st.integers(1, 3))
    def reserve(self, prompt: int, maximum: int | None, choices: int) -> None:
        self.hold(reserve(self.new_id("r"), prompt=prompt, maximum=maximum, choices=choices))

    @rule(share=st.integers(1, 105))
    def reserve_a_share_of_what_is_left(self, share: int) -> None:
        self.hold_share(share)

    @precondition(lambda self: self.open_holds())
    @rule(pick=picks, share=st.integers(0, 130), plus=st.integers(0, 2))
    def settle(self, pick: int, share: int, plus: int) -> None:
        self.end_hold(self.pick_one(self.open_holds(), pick), share, plus)

    @precondition(lambda self: self.in_state("expired"))
    @rule(pick=picks, share=st.integers(0, 130), plus=st.integers(0, 2))
    def settle_late(self, pick: int, share: int, plus: int) -> None:
        self.end_hold(self.pick_one(self.in_state("expired"), pick), share, plus)

    @precondition(lambda self: self.open_holds() + self.in_state("expired"))
    @rule(pick=picks)
    def release(self, pick: int) -> None:
        reservation = self.pick_one(self.open_holds() + self.in_state("expired"), pick)
        command = not_forwarded(reservation.id)
        self.advance_model()
        self.model.release(reservation.id, self.story.now)
        self.command(command)
        self.ends.append(command)

    @rule(tokens=amounts, let_through=st.booleans())
    def settle_unknown(self, tokens: int, let_through: bool = False) -> None:
        reservation_id = self.new_id("u")
        command = settle(reservation_id, prompt=tokens, forwarded_without_hold=let_through, started_at=self.story.now)
        self.may_be_negative |= not let_through
        self.advance_model()
        self.model.reserve(reservation_id, 0, self.story.now)
        self.model.end(reservation_id, tokens, self.story.now, let_through=let_through)
        self.command(command)
        self.ends.append(command)

    @precondition(lambda self: self.open_holds())
    @rule(pick=picks, seconds=st.sampled_from([0, 0, 1, -1]))
    def expire(self, pick: int, seconds: int) -> None:
        reservation = self.pick_one(self.open_holds(), pick)
        self.story.now = max(self.story.now, reservation.expires_at + timedelta(seconds=seconds))
        self.expire_hold(reservation)

    @rule(
        held_share=st.integers(50, 100),
        left_limit=st.none() | st.integers(0, 2_000),
        granted_tokens=st.none() | st.integers(1, 1_000),
        days=st.sampled_from([0, 0, 5, 31]),
        used_share=st.integers(0, 110),
    )
    def lose_usage_and_find_it_late(
        self, *, held_share: int, left_limit: int | None, granted_tokens: int | None, days: int, used_share: int
    ) -> None:
        """One rule for what single ones rarely line up: debt by an expiry, repaid or not, before its correction."""
        reservation = self.hold_share(held_share)
        if reservation is None:
            return
        if left_limit is not None:
            self.change_limit(left_limit)
        self.story.now = max(self.story.now, reservation.expires_at)
        self.expire_hold(reservation)
        if granted_tokens is not None:
            self.grant(granted_tokens, None)
        self.story.now += timedelta(days=days)
        self.end_hold(reservation, used_share, 0)

    @rule(
        held_share=st.integers(30, 100),
        counted_share=st.integers(0, 120),
        granted_tokens=st.none() | st.integers(1, 1_000),
        days=st.sampled_from([0, 0, 5, 31]),
        used_share=st.integers(0, 120),
    )
    def count_it_and_be_corrected(
        self, *, held_share: int, counted_share: int, granted_tokens: int | None, days: int, used_share: int
    ) -> None:
        """An estimate of ours, perhaps with debt that is repaid, gives way to the provider's figures."""
        reservation = self.hold_share(held_share)
        if reservation is None:
            return
        self.end_hold(reservation, counted_share, 0, estimated=True)
        if granted_tokens is not None:
            self.grant(granted_tokens, None)
        self.story.now += timedelta(days=days)
        reservation.state = "expired"  # what was charged may be put right once, as that of an expired hold
        self.end_hold(reservation, used_share, 0, corrects=self.ends.pop())

    @rule(calls=st.lists(st.tuples(st.integers(30, 90), st.integers(0, 110)), min_size=2, max_size=3), tokens=amounts)
    def end_several_after_their_cycle(self, calls: list[tuple[int, int]], tokens: int) -> None:
        """One rule for what single ones rarely line up: holds that share an ended cycle's remainder."""
        made = [(self.hold_share(held_share), used_share) for held_share, used_share in calls]
        self.go_to(self.story.balance.cycle.ends_at, act=False)
        self.settle_unknown(tokens)
        for reservation, used_share in made:
            if reservation is not None:
                self.end_hold(reservation, used_share, 0)

    @precondition(lambda self: self.ends)
    @rule(pick=picks, times=st.integers(1, 3))
    def repeat_an_end(self, pick: int, times: int) -> None:
        command = self.pick_one(self.ends, pick)
        self.advance_model()
        self.command(command)
        assert all(isinstance(event, MADE_BY_TIME) for event in self.story.events)
        for _ in range(times):
            self.command(command)
            assert self.story.events == ()

    @precondition(lambda self: self.ends)
    @rule(pick=picks)
    def contradict_an_end(self, pick: int) -> None:
        ended = self.pick_one(self.ends, pick)
        before = self.story.account
        with pytest.raises(ConflictError):
            self.story.when(settle(ended.reservation_id, prompt=99_999))
        assert self.story.account == before

    @precondition(lambda self: self.ends)
    @rule(pick=picks)
    def reserve_after_the_end(self, pick: int) -> None:
        ended = self.pick_one(self.ends, pick)
        self.advance_model()
        answer = self.story.when(reserve(ended.reservation_id, prompt=1))
        assert isinstance(answer, Refused)
        assert answer.code is RefusalCode.RESERVATION_CLOSED
        self.check_told()

    @rule(tokens=st.integers(1, 5_000), lifetime=lifetimes)
    def grant(self, tokens: int, lifetime: timedelta | None) -> None:
        lot_id = self.new_id("lot")
        expires_at = None if lifetime is None else self.story.now + lifetime
        self.advance_model()
        self.model.grant(lot_id, tokens, expires_at)
        self.command(grant(lot_id, tokens, expires_at=expires_at))

    @rule(pick=picks, tokens=st.integers(1, 3_000))
    def revoke(self, pick: int, tokens: int) -> None:
        lot_id = f"lot{pick % (self.number + 1)}"
        if tokens > self.model.may_revoke(lot_id):
            with pytest.raises(InvalidError):
                self.story.when(revoke(lot_id, tokens))
            return
        self.advance_model()
        self.may_be_negative = True
        self.model.revoke(lot_id, tokens)
        self.command(revoke(lot_id, tokens))

    @rule(tokens=amounts | st.integers(0, 40_000))
    def change_limit(self, tokens: int) -> None:
        self.advance_model()
        self.model.set_limit(tokens)
        self.may_be_negative |= self.model.available < 0
        self.command(limit(tokens))

    @rule(name=st.sampled_from(["basic", "premium", "trial"]))
    def change_plan(self, name: str) -> None:
        tokens = CATALOG.plans[name].monthly_tokens
        if name == self.story.account.plan:
            tokens = self.model.limit  # whether it is the plan's or one's own
        self.advance_model()
        self.model.set_limit(tokens)
        self.may_be_negative |= self.model.available < 0
        self.command(plan(name))
        if name == "trial":  # which does not allow the model of the calls here
            self.model.set_limit(10_000)
            self.command(plan("basic"))

    @rule(name=st.sampled_from(["blocked", "suspended", "pending"]))
    def bar_and_readmit(self, name: str) -> None:
        self.advance_model()
        self.command(status(name))
        answer = self.story.when(reserve(self.new_id("r"), prompt=1, output_free=True))
        assert isinstance(answer, Refused)
        assert answer.code == f"account_{name}"
        self.command(status("active"))

    @precondition(lambda self: not self.open_holds())
    @rule(share=st.integers(1, 100), debt=st.none() | st.integers(1, 3_000))
    def jump_a_month_ahead_and_be_put_back(self, share: int, debt: int | None) -> None:
        if debt is not None:
            self.settle_unknown(debt)
        self.go_to(self.story.now, act=True)
        before, start, rightful = deepcopy(self.model), self.story.now, self.story.account.running_cycle
        self.go_to(start + timedelta(days=33), act=True)
        reservation = self.hold_share(share)
        if reservation is not None:
            self.end_hold(reservation, 100, 0)
        self.story.now = start
        self.model.told.clear()
        used_before = sum(self.model.closings[len(before.closings) :])
        self.may_be_negative = True
        self.model.put_back(before)
        self.command(CorrectCycle(account_id=ACCOUNT_ID, used_before=used_before, rightful=rightful))

    @rule(duration=durations, act=st.booleans())
    def let_time_pass(self, duration: timedelta, act: bool) -> None:
        self.go_to(self.story.now + duration, act)

    @rule(microseconds=st.sampled_from([-1, 0, 1]), act=st.booleans())
    def go_to_the_cycle_s_end(self, microseconds: int, act: bool) -> None:
        self.go_to(self.story.balance.cycle.ends_at + timedelta(microseconds=microseconds), act)

    # --- what always holds ----------------------------------------------------------------------------------------

    @invariant()
    def the_naive_account_agrees(self) -> None:
        model = deepcopy(self.model)  # a read starts due cycles and drops expired lots without storing it
        balance = self.story.balance
        model.advance(self.story.now)
        assert (balance.monthly_limit, balance.monthly_used, balance.credits) == (
            model.limit,
            model.used,
            model.credits,
        )
        assert (balance.held, balance.debt, balance.unowed) == (model.held, model.debt, model.unowed)
        assert (
            balance.available
            == model.available
            == balance.monthly_remaining + balance.credits - model.held - (model.debt)
        )
        assert self.story.account.all_open_holds == model.open_holds
        lots = as_of(self.story.account, self.story.now, self.story.policy).lots
        assert [(lot.id, lot.tokens, lot.expires_at) for lot in lots] == [
            (lot.id, lot.tokens, lot.expires_at) for lot in model.lots
        ]

    @invariant()
    def nothing_is_lost_or_made(self) -> None:
        conservation.check(self.story.account, self.story.log, self.story.holds)

    @invariant()
    def it_is_due_exactly_when_time_changes_it(self) -> None:
        """Else whoever looks for what is due finds it again and again, or never."""
        account, now = self.story.account, max(self.story.now, self.story.account.last_event_at or self.story.now)
        assert account.due_at is not None
        assert (account.due_at <= now) == (as_of(account, now, self.story.policy).version != account.version)

    @invariant()
    def only_what_may_overdraw_overdraws(self) -> None:
        assert self.may_be_negative or (self.story.balance.available >= 0 and self.story.balance.debt == 0)

    @invariant()
    def a_rebuild_arrives_at_the_same_state(self) -> None:
        account, holds = Account(account_id=ACCOUNT_ID), dict[str, Hold]()
        for at, event in self.story.log:
            account = evolve(account, event, at)
            reservation_id = getattr(event, "reservation_id", None)
            if reservation_id is not None:
                hold = evolve_hold(holds.get(reservation_id), event, at)
                assert hold is not None
                holds[reservation_id] = hold
        assert account == self.story.account
        assert holds == self.story.holds
        assert account.version == len(self.story.log)

    @invariant()
    def the_statement_s_last_line_is_the_balance(self) -> None:
        self.statement.take(events_of(self.story)[self.told_events :])
        self.told_events = len(self.story.log)
        balance = self.story.account.balance()
        assert standing(self.statement.movements[-1]) == (
            balance.monthly_used,
            balance.monthly_limit,
            balance.credits,
            balance.debt,
            balance.unowed,
        )
        assert self.statement.account() == self.story.account

    @invariant()
    def the_last_events_and_the_state_survive_json(self) -> None:
        for event in self.story.events:
            assert_survives_json(event)
        assert_state_survives_json(self.story.account, self.story.holds)
