"""Who works in the company: departments, plans, how much each uses the chat, and what happens to some of them."""

from collections.abc import Sequence
from enum import StrEnum
from random import Random
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from company.names import draw_names, plain

HEADCOUNT: Final = 200
DAYS: Final = 91
"""How long the company has been using the chat."""
DOMAIN: Final = "solaris.invalid"
"""Of a top level that is reserved for what nobody can ever reach (RFC 2606): whatever writes to it reaches nobody."""


class Department(NamedTuple):
    """`share` of the people in percent; `calls_a_day` on a working day; `size_percent` of a usual prompt and answer."""

    name: str
    share: int
    calls_a_day: float
    size_percent: int
    plans: tuple[str, ...]


DEPARTMENTS: Final = (
    Department("Engenharia", 22, 4.0, 190, ("pro", "pro", "premium", "basic", "enterprise")),
    Department("Dados", 7, 3.5, 220, ("pro", "premium", "premium", "enterprise")),
    Department("Produto", 9, 2.6, 120, ("basic", "pro")),
    Department("Atendimento", 18, 3.2, 70, ("basic",)),
    Department("Comercial", 15, 1.8, 80, ("basic", "basic", "trial")),
    Department("Marketing", 10, 2.4, 130, ("basic", "basic", "pro")),
    Department("Financeiro", 8, 1.1, 90, ("basic", "trial")),
    Department("Pessoas", 6, 1.0, 80, ("basic", "trial")),
    Department("Jurídico", 5, 1.6, 240, ("basic", "pro")),
)


NEARLY_ALL: Final = {"trial": (2.6, 60), "basic": (6.4, 240), "pro": (9.5, 240), "premium": (12.5, 240)}
"""Calls a day and their size that use most of a plan within two or three weeks."""


class Subscribing(StrEnum):
    """How a subscription goes that somebody pays by card."""

    STEADY = "steady"
    UPGRADED = "upgraded"
    CANCELLED = "cancelled"
    UNPAID = "unpaid"
    REFUNDED = "refunded"


class Paying(StrEnum):
    """How the payment of a package goes."""

    PAID = "paid"
    FAILED = "failed"
    AWAITED = "awaited"
    REFUNDED = "refunded"
    HALF_REFUNDED = "half_refunded"
    DISPUTED = "disputed"
    DISPUTE_WON = "dispute_won"


class Purchase(Struct, frozen=True, kw_only=True):
    """A package, bought so many days ago."""

    days_ago: float
    package: str
    method: str = "card"
    goes: Paying = Paying.PAID


class Person(Struct, frozen=True, kw_only=True):
    """One of the company's people, of whom `number` says which.

    `opened_days_ago` also sets the day on which the cycles start. `ends_near_percent` brings the last cycle to that
    share of the allowance, 100 to its very end and to calls that are refused. `lost_calls` are charged by their holds,
    and of `late_calls` the usage comes after that. `in_flight` calls are open when the history ends.
    """

    seed: int
    number: int
    name: str
    department: Department
    plan: str
    calls_a_day: float
    size_percent: int
    opened_days_ago: float
    weekends: bool = False
    locale: str = "pt-BR"
    purchases: tuple[Purchase, ...] = ()
    subscribing: Subscribing | None = None
    tops_up: bool = False
    voucher_days_ago: float | None = None
    bank_transfer_days_ago: float | None = None
    courtesy_days_ago: float | None = None
    courtesy_taken_back: bool = False
    limit_raised_days_ago: float | None = None
    ends_near_percent: int | None = None
    suspended_days_ago: float | None = None
    lost_calls: int = 0
    late_calls: int = 0
    in_flight: int = 0

    @property
    def account_id(self) -> str:
        return f"demo{self.seed}-{plain(self.name).replace(' ', '-')}"

    @property
    def email(self) -> str:
        return f"{plain(self.name).replace(' ', '.')}@{plain(self.department.name)}.{DOMAIN}"


def hire(seed: int) -> Sequence[Person]:
    """The company of this seed, the same people every time; those to whom nothing special happens come last."""
    random = Random(f"company:{seed}")  # noqa: S311  a demo, the same every time
    names = draw_names(random)
    shares = [department.share for department in DEPARTMENTS]
    people = [
        _person(random, seed, number, next(names), random.choices(DEPARTMENTS, shares)[0])
        for number in range(HEADCOUNT)
    ]
    return [*_happenings(random, people)]


def _person(random: Random, seed: int, number: int, name: str, department: Department) -> Person:
    # Most people of any company try it now and then, and a few never stop.
    keenness = random.choices((0.06, 0.4, 1.0, 2.1), (18, 37, 33, 12))[0]
    # Two of three were there from the beginning; the others came along.
    opened = DAYS - random.random() if random.random() < 0.66 else random.uniform(3, DAYS - 1)
    return Person(
        seed=seed,
        number=number,
        name=name,
        department=department,
        plan=random.choice(department.plans),
        calls_a_day=department.calls_a_day * keenness,
        size_percent=round(department.size_percent * random.uniform(0.7, 1.4)),
        opened_days_ago=opened,
        weekends=random.random() < 0.08,
        locale="en" if random.random() < 0.03 else "pt-BR",
    )


def _happenings(random: Random, people: Sequence[Person]) -> Sequence[Person]:
    """What happens to whom; each line takes the next people, so that no two of them meet in one by chance alone."""
    told = iter(people)
    done: list[Person] = []

    def happens(**changes: object) -> None:
        person = next(told)
        done.append(replace(person, **{"opened_days_ago": max(person.opened_days_ago, 75.0), **changes}))

    # Their cycles are two or three weeks old, whatever month it is, and none starts anew in the last days.
    near = ((82, "pro"), (86, "basic"), (91, "trial"), (93, "premium"), (96, "basic"), (98, "basic"))
    for percent, plan in (*near, (100, "trial"), (100, "basic"), (100, "trial"), (100, "basic")):
        calls, size = NEARLY_ALL[plan]
        opened = random.uniform(74, 80)
        happens(ends_near_percent=percent, plan=plan, calls_a_day=calls, size_percent=size, opened_days_ago=opened)
    happens(suspended_days_ago=6.0)
    for subscribing, plan in (
        *((Subscribing.STEADY, plan) for plan in ("basic", "basic", "pro", "pro", "pro", "premium", "basic", "pro")),
        *((Subscribing.UPGRADED, plan) for plan in ("basic", "pro", "basic", "pro")),
        *((Subscribing.CANCELLED, plan) for plan in ("pro", "basic")),
        (Subscribing.UNPAID, "basic"),
        (Subscribing.REFUNDED, "pro"),
    ):
        happens(subscribing=subscribing, plan=plan, calls_a_day=random.uniform(2, 5))
    for _ in range(3):
        happens(tops_up=True, plan="basic", calls_a_day=random.uniform(6, 9), size_percent=260)
    for goes in (*(each for each in Paying if each is not Paying.PAID), Paying.FAILED, Paying.HALF_REFUNDED):
        days_ago = 1.5 if goes is Paying.AWAITED else random.uniform(12, 50)
        method = "boleto" if goes in (Paying.FAILED, Paying.AWAITED) else "card"
        happens(purchases=(Purchase(days_ago=days_ago, package="small", method=method, goes=goes),))
    for _ in range(34):
        happens(purchases=tuple(_purchase(random) for _ in range(random.choice((1, 1, 1, 2, 3)))))
    for _ in range(7):
        happens(voucher_days_ago=random.uniform(20, 24))
    for _ in range(2):
        happens(bank_transfer_days_ago=random.uniform(10, 70))
    for taken_back in (False, False, True):
        happens(courtesy_days_ago=random.uniform(15, 60), courtesy_taken_back=taken_back)
    for _ in range(2):
        happens(limit_raised_days_ago=random.uniform(20, 60))
    for calls in (1, 2, 3):
        happens(lost_calls=calls, calls_a_day=3.0)
    for calls in (1, 2):
        happens(late_calls=calls, calls_a_day=3.0)
    for _ in range(3):
        happens(in_flight=1, calls_a_day=4.0)
    return [*done, *told]


def _purchase(random: Random) -> Purchase:
    return Purchase(
        days_ago=random.uniform(2, 74),
        package=random.choices(("small", "medium", "large"), (60, 32, 8))[0],
        method=random.choices(("card", "pix", "boleto"), (45, 42, 13))[0],
    )
