"""The shapes that each language fills: the sentences of the page that sells, and of an order's page."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from pages.words import Fault

from billing.domain.vouchers import VoucherRefusal


class OrderStage(Enum):
    """What an order's page tells: states that are the same to whoever waits are one."""

    UNPAID = auto()
    AWAITED = auto()
    ARRIVING = auto()
    CREDITED = auto()
    SUBSCRIBED = auto()
    SETTLED = auto()
    TAKEN_BACK = auto()
    QUESTIONED = auto()
    DECLINED = auto()
    EXPIRED = auto()
    CANCELLED = auto()
    EXAMINED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """`{item}` is what was ordered, tokens or a plan, `{price}` what it costs."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyWords:
    """`methods` and `plans_text` by currency, under "" for every other."""

    title: str
    lead: str
    methods: Mapping[str, str]
    currency: str
    packages: str
    packages_text: str
    plans: str
    plans_text: Mapping[str, str]
    tokens: tuple[str, str]
    tokens_a_month: str
    chats: str
    a_million: str
    a_month: str
    cheapest: str
    buy: str
    buy_label: str
    subscribe: str
    subscribe_label: str
    promotion: str
    voucher: str
    voucher_code: str
    voucher_hint: str
    voucher_faults: Mapping[VoucherRefusal, str]
    redeem: str
    a_chat: str
    whose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderWords:
    title: str
    situations: Mapping[OrderStage, Situation]
    pay: str
    code: str
    again: str
    number: str
    taken_back: str
    price: str
    plan: str
    free: str
    good_until: str
    waiting: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """`faults` of this service's own: see `Trouble`."""

    buy: BuyWords
    order: OrderWords
    expired_link: Fault
    foreign_link: Fault
    no_link: Fault
    purchases_off: Fault
    payments_away: Fault
    unknown_order: Fault
    not_sold: Fault
    too_many: Fault
    payment_refused: Fault
    already_subscribed: Fault
