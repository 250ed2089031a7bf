"""What a person buys, and how that goes: packages, subscriptions, auto top-ups, vouchers, what operators enter."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Final

from billing.domain.entitlement import PlanRules
from billing.domain.history import Change
from billing.domain.offers import Offers
from billing.domain.orders import Order, OrderKind
from billing.store.invented import InventedOrder, InventedSubscription
from billing.store.outbox import Said
from msgspec import Struct
from msgspec.structs import replace

from company.buying import CURRENCY, OPERATOR, Bought, order_id
from company.people import Paying, Person, Purchase, Subscribing
from company.subscribing import Subscribed, months_after, rest_of
from company.timeline import Timeline

TOP_UP_PACKAGE: Final = "small"
TOP_UP_PAUSE: Final = timedelta(hours=1)
VOUCHER_TOKENS: Final = 200_000
VOUCHER_DAYS: Final = 60


class Shop(Struct, frozen=True, kw_only=True):
    """What is sold, and by which rules; `voucher_digest` of the code that some people redeem."""

    offers: Offers
    rules: PlanRules
    voucher_digest: bytes


class Month(Struct, frozen=True, kw_only=True):
    """A period of a subscription that `began_at` that moment, of which `number` were before; `price` in minor units."""

    plan: str
    price: int
    number: int
    began_at: datetime

    @property
    def starts_at(self) -> datetime:
        return months_after(self.began_at, self.number)

    @property
    def ends_at(self) -> datetime:
        return months_after(self.began_at, self.number + 1)


class Shopping:
    """A person's purchases on a timeline; `hear` is told what billing says of them."""

    def __init__(
        self,
        shop: Shop,
        person: Person,
        timeline: Timeline,
        random: Random,
        hear: Callable[[Sequence[Said], datetime], None],
    ) -> None:
        self._shop = shop
        self._person = person
        self._timeline = timeline
        self._random = random
        self._hear = hear
        self._bought: list[tuple[Bought, str | None, bytes | None]] = []
        self._subscribed: list[Subscribed] = []
        self._topped_up_at: datetime | None = None

    @property
    def orders(self) -> Sequence[InventedOrder]:
        return [replace(bought.invented, paid_by=paid_by, redeems=redeems) for bought, paid_by, redeems in self._bought]

    @property
    def subscriptions(self) -> Sequence[InventedSubscription]:
        return [subscribed.invented for subscribed in self._subscribed]

    def plan(self, opened_at: datetime) -> None:
        """All that is bought at a known time, where it is sold."""
        person, timeline = self._person, self._timeline
        for purchase in person.purchases if self._shop.offers.packages else ():
            at = max(timeline.before_end(days=purchase.days_ago), opened_at + timedelta(hours=1))
            timeline.plan(at, partial(self._buy, purchase))
        if person.subscribing is not None:
            timeline.plan(opened_at + timedelta(days=2, minutes=7), partial(self._subscribe, person.subscribing))
        if person.voucher_days_ago is not None:
            timeline.plan(timeline.before_end(days=person.voucher_days_ago), self._redeem)
        if person.bank_transfer_days_ago is not None and self._shop.offers.packages:
            timeline.plan(timeline.before_end(days=person.bank_transfer_days_ago), self._transfer)

    def tops_up(self, left_tokens: int, at: datetime) -> None:
        """Buy a package by itself if little is left, and none was bought just before."""
        offer = self._shop.offers.package(TOP_UP_PACKAGE)
        if not self._person.tops_up or offer is None or left_tokens >= offer.tokens // 5:
            return
        if self._topped_up_at is not None and at - self._topped_up_at < TOP_UP_PAUSE:
            return
        self._topped_up_at = at
        order = self._package(TOP_UP_PACKAGE, at, OrderKind.TOP_UP)
        bought = self._placed(order, Change(what="placed", who="auto top-up", details={"via": "top_up"}))
        self._timeline.plan(at + timedelta(seconds=6), lambda paid_at: self._hear(bought.pays(paid_at), paid_at))

    def _package(self, package: str, at: datetime, kind: OrderKind) -> Order:
        offer = self._shop.offers.package(package) or self._shop.offers.packages[0]
        return Order(
            id=order_id(self._random),
            kind=kind,
            account_id=self._person.account_id,
            package_id=offer.id,
            tokens=offer.tokens,
            amount_minor=offer.prices.get(CURRENCY, 0),
            currency=CURRENCY,
            locale="pt-BR",
            created_at=at,
            changed_at=at,
        )

    def _placed(
        self, order: Order, change: Change, *, paid_by: str | None = None, redeems: bytes | None = None
    ) -> Bought:
        bought = Bought(self._random, order, change)
        self._bought.append((bought, paid_by, redeems))
        return bought

    def _later(self, told: Callable[[datetime], Sequence[Said]], at: datetime) -> None:
        self._timeline.plan(at, lambda then: self._hear(told(then), then))

    def _buy(self, purchase: Purchase, at: datetime) -> None:
        order = self._package(purchase.package, at, OrderKind.PACKAGE)
        placed = Change(what="placed", who=f"link:{self._random.getrandbits(48):012x}", details={"via": "link"})
        bought = self._placed(order, placed)
        if purchase.method != "card":
            self._later(partial(bought.awaits, purchase.method), at + timedelta(minutes=2))
        wait = {"card": timedelta(minutes=1.5), "pix": timedelta(minutes=4), "boleto": timedelta(days=1, hours=5)}
        paid_at = at + wait[purchase.method]
        match purchase.goes:
            case Paying.AWAITED:
                return
            case Paying.FAILED:
                self._later(bought.fails, at + timedelta(days=4))
                return
            case _:
                self._later(bought.pays, paid_at)
        match purchase.goes:
            case Paying.REFUNDED | Paying.HALF_REFUNDED:
                part = 1 if purchase.goes is Paying.REFUNDED else 2
                self._later(partial(bought.gives_back, part), paid_at + timedelta(days=3, hours=2))
            case Paying.DISPUTED | Paying.DISPUTE_WON:
                self._later(bought.is_disputed, paid_at + timedelta(days=4))
                won = purchase.goes is Paying.DISPUTE_WON
                self._later(partial(bought.dispute_ends, won=won), paid_at + timedelta(days=9))

    def _redeem(self, at: datetime) -> None:
        order = Order(
            id=order_id(self._random),
            kind=OrderKind.VOUCHER,
            account_id=self._person.account_id,
            tokens=VOUCHER_TOKENS,
            amount_minor=0,
            currency=CURRENCY,
            credits_expire_at=at + timedelta(days=VOUCHER_DAYS),
            created_at=at,
            changed_at=at,
        )
        who = f"account:{self._person.account_id}"
        bought = self._placed(order, Change(what="redeemed", who=who), redeems=self._shop.voucher_digest)
        self._hear(bought.pays(at, who), at)

    def _transfer(self, at: datetime) -> None:
        why = "Transferência bancária do centro de custo"
        order = replace(
            self._package("large", at, OrderKind.MANUAL), locale=None, reference=f"TED {at:%Y%m%d}", reason=why
        )
        entered = Change(what="entered", who=OPERATOR, why=why, details={"paid_by": "bank_transfer"})
        bought = self._placed(order, entered, paid_by="bank_transfer")
        self._hear(bought.pays(at, OPERATOR), at)

    def _subscribe(self, goes: Subscribing, at: datetime) -> None:
        offer = self._shop.offers.plan(self._person.plan)
        if offer is None:
            return
        price = offer.prices.get(CURRENCY, 0)
        named = order_id(self._random)
        subscribed = Subscribed(self._random, self._shop.rules, self._person.account_id, named)
        order = Order(
            id=named,
            kind=OrderKind.SUBSCRIPTION,
            subscription_id=subscribed.id,
            account_id=self._person.account_id,
            plan=offer.id,
            tokens=offer.tokens,
            amount_minor=price,
            currency=CURRENCY,
            locale="pt-BR",
            created_at=at,
            changed_at=at,
        )
        placed = Change(what="placed", who=f"link:{self._random.getrandbits(48):012x}", details={"via": "link"})
        bought = self._placed(order, placed)
        self._hear(bought.pays(at), at)
        self._subscribed.append(subscribed)
        self._period(subscribed, goes, Month(plan=offer.id, price=price, number=0, began_at=at), at)

    def _period(self, subscribed: Subscribed, goes: Subscribing, month: Month, at: datetime) -> None:
        """One month of it, and what happens within; the next one is planned."""
        plan, price, starts_at, ends_at = month.plan, month.price, month.starts_at, month.ends_at
        half = starts_at + (ends_at - starts_at) / 2
        is_second = month.number == 1
        if goes is Subscribing.UNPAID and is_second:
            self._hear(subscribed.does_not_pay(plan, price, starts_at, ends_at, at), at)
            self._later(subscribed.looks_again, starts_at + timedelta(days=2, minutes=5))
            self._later(partial(subscribed.ends, for_payment=True), starts_at + self._shop.rules.grace)
            return
        self._hear(subscribed.pays(plan, price, starts_at, ends_at, at), at)
        if goes is Subscribing.CANCELLED and is_second:
            self._later(partial(subscribed.is_cancelled, ends_at), half)
            self._later(subscribed.ends, ends_at + timedelta(minutes=1))
            return
        if goes is Subscribing.REFUNDED and is_second:
            self._later(subscribed.is_given_back, starts_at + timedelta(days=3))
            return
        if goes is Subscribing.UPGRADED and is_second and (higher := self._higher(price)) is not None:
            more = rest_of(higher[1] - price, starts_at, ends_at, half)
            self._later(partial(subscribed.raises, higher[0], more, ends_at), half)
            plan, price = higher
        following = replace(month, plan=plan, price=price, number=month.number + 1)
        self._timeline.plan(ends_at + timedelta(minutes=1), partial(self._period, subscribed, goes, following))

    def _higher(self, price: int) -> tuple[str, int] | None:
        """The next plan that is sold, and its price."""
        dearer = sorted((each.prices.get(CURRENCY, 0), each.id) for each in self._shop.offers.plans)
        return next(((name, amount) for amount, name in dearer if amount > price), None)
