"""What is paid for, among all that can happen to an account: in any order and repetition it comes to what was paid."""

from datetime import datetime, timedelta

import pytest
from contracts.errors import PrematureError
from contracts.events.accounts import AccountOpened, CycleCorrected, CycleStarted, SubscriptionChanged
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from ledger.domain.commands import Command, Revision
from ledger.domain.subscriptions import MAX_KNOWN

from tests.unit.ledger.account_machine import AccountMachine, picks
from tests.unit.ledger.billing_books import Heard, OrderBook, Saying, SubscriptionBook
from tests.unit.ledger.messages import MADE_BY_TIME
from tests.unit.ledger.story import CATALOG, ended, grant, restore, revoke, subscribed

PLANS = ("basic", "premium")
DEFAULT = "basic"
starts = st.sampled_from([timedelta(0), timedelta(hours=-1), timedelta(days=-3), timedelta(hours=5)])


class BillingMachine(AccountMachine):
    def __init__(self) -> None:
        super().__init__()
        self.orders: dict[str, OrderBook] = {}
        self.subscriptions: dict[str, SubscriptionBook] = {}
        self.to_hear: list[Saying] = []
        self.heard: list[Saying] = []
        self.known: dict[str, Heard] = {}

    # --- what billing says ------------------------------------------------------------------------------------------

    @rule(tokens=st.integers(1, 5_000))
    def sell_credits(self, tokens: int) -> None:
        book = OrderBook(self.new_id("order:"), tokens)
        self.orders[book.id] = book
        self.to_hear.append(book.buy())

    @precondition(lambda self: self.orders)
    @rule(pick=picks, share=st.integers(1, 100), gives=st.booleans())
    def revise_an_order(self, pick: int, share: int, gives: bool) -> None:
        book = self.pick_one(list(self.orders.values()), pick)
        saying = book.give_back(share) if gives else book.take_back(share)
        if saying is not None:
            self.to_hear.append(saying)

    @precondition(lambda self: len(self.subscriptions) < MAX_KNOWN)  # of more, some are forgotten
    @rule(start=starts, plan=st.sampled_from(PLANS))
    def sell_a_plan(self, start: timedelta, plan: str) -> None:
        book = SubscriptionBook(self.new_id("sub"), self.story.now + start)
        self.subscriptions[book.id] = book
        self.to_hear.append(book.give(plan))

    @precondition(lambda self: self.subscriptions)
    @rule(pick=picks, what=st.sampled_from(["renew", "end", "take back", *PLANS]))
    def go_on_with_a_subscription(self, pick: int, what: str) -> None:
        book = self.pick_one(list(self.subscriptions.values()), pick)
        if book.plan is None:
            if what in PLANS:
                self.to_hear.append(book.give(what))
        elif what == "renew":
            self.to_hear.append(book.renew())
        elif what in ("end", "take back"):
            self.to_hear.append(book.end(is_taken_back=what == "take back"))
        elif what != book.plan:
            self.to_hear.append(book.give(what))

    # --- what the ledger hears --------------------------------------------------------------------------------------

    @precondition(lambda self: self.to_hear)
    @rule(pick=picks, gap_allowed=st.booleans())
    def hear(self, pick: int, gap_allowed: bool) -> None:
        saying = self.pick_one(self.to_hear, pick)
        is_order = saying.of in self.orders
        self.try_to_hear(saying, gap_allowed=gap_allowed and not is_order)

    @precondition(lambda self: self.to_hear)
    @rule()
    def hear_the_oldest(self) -> None:
        self.try_to_hear(self.to_hear[0], gap_allowed=False)

    @rule(tokens=st.integers(1, 5_000), share=st.integers(0, 100), spent=st.integers(1, 100), order=picks)
    def dispute_an_order_and_win(self, tokens: int, share: int, spent: int, order: int) -> None:
        """One rule for what single ones rarely line up: taken back, spent or not, and given back."""
        book = OrderBook(self.new_id("order:"), tokens)
        self.orders[book.id] = book
        said = [book.buy(), book.take_back(100), book.give_back(share)]
        self.to_hear.extend(saying for saying in said if saying is not None)
        self.try_to_hear(book.said[0], gap_allowed=False)
        reservation = self.hold_share(spent)
        if reservation is not None:
            self.end_hold(reservation, 100, 0)
        waiting = book.said[1:]
        for saying in (waiting, waiting[::-1])[order % 2]:
            self.try_to_hear(saying, gap_allowed=False)

    @precondition(lambda self: self.heard)
    @rule(pick=picks)
    def hear_again_of_a_subscription(self, pick: int) -> None:
        """What is known by its command is told nowhere near the account; a subscription's state knows it besides."""
        saying = self.pick_one(self.heard, pick)
        if saying.of in self.subscriptions:
            self.advance_model()
            self.command(self.command_of(saying, gap_allowed=True))
            assert all(isinstance(event, MADE_BY_TIME) for event in self.story.events)

    def try_to_hear(self, saying: Saying, *, gap_allowed: bool) -> None:
        command = self.command_of(saying, gap_allowed=gap_allowed)
        if not gap_allowed and self.next_number(saying.of) < saying.number:
            before = self.story.account
            with pytest.raises(PrematureError):
                self.story.when(command)
            assert self.story.account == before
            return
        self.to_hear.remove(saying)
        self.heard.append(saying)
        self.advance_model()
        self.may_be_negative |= saying.what == "revoked"
        self.apply(saying)
        self.may_be_negative |= self.model.available < 0 or self.model.debt > 0
        self.command(command)

    def next_number(self, of: str) -> int:
        if of in self.orders:
            return sum(saying.of == of for saying in self.heard)
        return self.known[of].number + 1 if of in self.known else 1

    def command_of(self, saying: Saying, *, gap_allowed: bool) -> Command:
        revision = Revision(saying.number, gap_allowed)
        match saying.what:
            case "purchased":
                return grant(saying.of, saying.tokens)
            case "revoked":
                return revoke(saying.of, saying.tokens, revision)
            case "restored":
                return restore(saying.of, saying.tokens, revision)
            case "ended":
                return ended(
                    saying.number,
                    subscription_id=saying.of,
                    gap_allowed=gap_allowed,
                    is_taken_back=saying.is_taken_back,
                )
            case _:
                assert saying.period is not None
                return subscribed(
                    saying.plan,
                    saying.number,
                    period=saying.period,
                    subscription_id=saying.of,
                    gap_allowed=gap_allowed,
                )

    def apply(self, saying: Saying) -> None:
        """To the naive account."""
        match saying.what:
            case "purchased":
                self.model.grant(saying.of, saying.tokens, None)
            case "revoked":
                self.model.revoke(saying.of, saying.tokens)
            case "restored":
                self.model.restore(saying.of, saying.tokens)
            case _:
                self.apply_to_plan(saying)

    def apply_to_plan(self, saying: Saying) -> None:
        if saying.of in self.known and saying.number <= self.known[saying.of].number:
            return
        ruled = self.ruling()
        paid_until = self.paid_until(saying.of)
        known = self.known.setdefault(saying.of, Heard(0, None, None, len(self.known)))
        first = known.period is None
        known.number = saying.number
        known.plan = None if saying.what == "ended" else saying.plan
        if saying.what != "ended":
            known.period = saying.period
        ruling = self.ruling()
        if saying.what == "ended":
            if ruled == saying.of:
                plan = DEFAULT if ruling is None else str(self.known[ruling].plan)
                self.give(plan, self.is_unpaid(paid_until) or saying.is_taken_back)
        elif ruling == saying.of and first:
            assert saying.period is not None
            if ruled is not None and self.is_unpaid(self.paid_until(ruled)):
                self.give(DEFAULT, is_unpaid=True)
            self.model.pay_cycle(CATALOG.plans[saying.plan].monthly_tokens, self.story.now, saying.period)
        elif ruling == saying.of:
            self.give(saying.plan, self.is_unpaid(paid_until))

    def paid_until(self, of: str) -> datetime | None:
        period = self.known[of].period if of in self.known else None
        return None if period is None else period + timedelta(days=31)

    def is_unpaid(self, paid_until: datetime | None) -> bool:
        return paid_until is not None and self.model.ends_at > paid_until + timedelta(days=14)

    def give(self, plan: str, is_unpaid: bool) -> None:
        if plan != self.story.account.plan:
            self.model.set_limit(CATALOG.plans[plan].monthly_tokens, is_unpaid=is_unpaid)

    def ruling(self) -> str | None:
        live = [(each.period, each.place, name) for name, each in self.known.items() if each.plan is not None]
        return max(live)[2] if live else None

    # --- what it comes to -------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Once all is heard, the lots are the orders, the plan is the subscription's, each allowance was paid for."""
        for _ in range(len(self.to_hear)):
            for saying in list(self.to_hear):
                self.try_to_hear(saying, gap_allowed=False)
        self.to_hear = [saying for saying in self.to_hear if saying.of in self.orders]
        assert self.to_hear == []
        for book in self.orders.values():
            record = self.story.lot_records[book.id]
            assert (record.granted, record.revoked, record.restored) == (book.paid, book.revoked, book.restored)
            assert record.revocable == book.paid - book.revoked + book.restored
        for name, subscription in self.subscriptions.items():
            assert self.known[name].plan == subscription.plan
        self.check_allowances()

    def check_allowances(self) -> None:
        """A cycle starts where the one before it ends, or else by the first payment of a subscription; each once."""
        ends_at, said_of, started_by_payment = None, set[str](), 0
        for _, event in self.story.log:
            match event:
                case AccountOpened() | CycleCorrected():
                    ends_at = event.cycle.ends_at
                case SubscriptionChanged():
                    said_of.add(event.subscription_id)
                case CycleStarted(anchor_day=None):
                    assert event.cycle.starts_at == ends_at
                    ends_at = event.cycle.ends_at
                case CycleStarted():
                    started_by_payment += 1
                    assert started_by_payment <= len(said_of)
                    ends_at = event.cycle.ends_at
                case _:
                    pass


TestBillingMachine = pytest.mark.timeout(1_800)(BillingMachine.TestCase)
