"""Billing as a ledger's test needs it: says things of orders and subscriptions, and knows what they come to."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Saying:
    """Something said of an order or a subscription; of each, the numbers count up: an order is bought with number 0."""

    of: str
    number: int
    what: str
    tokens: int = 0
    plan: str = ""
    period: datetime | None = None
    is_taken_back: bool = False


@dataclass
class OrderBook:
    id: str
    paid: int
    revoked: int = 0
    restored: int = 0
    said: list[Saying] = field(default_factory=list)

    def buy(self) -> Saying:
        return self._say("purchased", self.paid)

    def take_back(self, share: int) -> Saying | None:
        tokens = (self.paid - self.revoked + self.restored) * share // 100
        self.revoked += tokens
        return self._say("revoked", tokens) if tokens else None

    def give_back(self, share: int) -> Saying | None:
        tokens = (self.revoked - self.restored) * share // 100
        self.restored += tokens
        return self._say("restored", tokens) if tokens else None

    def _say(self, what: str, tokens: int) -> Saying:
        self.said.append(Saying(self.id, len(self.said), what, tokens=tokens))
        return self.said[-1]


@dataclass
class SubscriptionBook:
    id: str
    period: datetime
    plan: str | None = None
    said: list[Saying] = field(default_factory=list)

    def give(self, plan: str) -> Saying:
        """At first, after its end, or another plan within the period."""
        self.plan = plan
        return self._say("subscribed")

    def renew(self) -> Saying:
        self.period += timedelta(days=30)
        return self._say("subscribed")

    def end(self, *, is_taken_back: bool = False) -> Saying:
        self.plan = None
        return self._say("ended", is_taken_back=is_taken_back)

    def _say(self, what: str, *, is_taken_back: bool = False) -> Saying:
        number, plan = len(self.said) + 1, self.plan or ""
        self.said.append(Saying(self.id, number, what, plan=plan, period=self.period, is_taken_back=is_taken_back))
        return self.said[-1]


@dataclass
class Heard:
    """What a naive ledger knows of a subscription."""

    number: int
    plan: str | None
    period: datetime | None
    place: int
