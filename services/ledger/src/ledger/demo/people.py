"""Who the demo's people are and how they use the chat; all of them made up, at a domain that delivers nothing."""

from typing import Final
from unicodedata import normalize

from msgspec import Struct


class Person(Struct, frozen=True, kw_only=True):
    """`calls_a_day` on a working day; `size_percent` scales the length of prompts and answers.

    `opened_days_ago` also sets the day on which the cycles start. `ends_near_percent` brings the last cycle to that
    share of the allowance, 100 to its very end; `purchases` are (days ago, tokens).
    """

    name: str
    plan: str
    calls_a_day: int
    opened_days_ago: int
    size_percent: int = 100
    weekends: bool = False
    locale: str = "pt-BR"
    purchases: tuple[tuple[int, int], ...] = ()
    ends_near_percent: int | None = None
    suspended_days_ago: int | None = None
    suspension_reason: str = ""

    @property
    def account_id(self) -> str:
        return f"demo-{self._names[0]}"

    @property
    def email(self) -> str:
        return f"{self._names[0]}.{self._names[-1]}@example.com"

    @property
    def _names(self) -> list[str]:
        """Without capitals and accents."""
        return normalize("NFD", self.name).encode("ascii", "ignore").decode().lower().split()


PEOPLE: Final = (
    Person(name="Ana Souza", plan="basic", calls_a_day=12, opened_days_ago=52),
    Person(name="Bruno Carvalho", plan="pro", calls_a_day=18, opened_days_ago=47, purchases=((9, 500_000),)),
    Person(name="Camila Ferreira", plan="premium", calls_a_day=22, opened_days_ago=55, size_percent=130, weekends=True),
    Person(name="Diego Nogueira", plan="basic", calls_a_day=3, opened_days_ago=39, size_percent=70),
    Person(name="Elisa Araújo", plan="enterprise", calls_a_day=34, opened_days_ago=56, size_percent=160, weekends=True),
    Person(name="Felipe Moraes", plan="basic", calls_a_day=9, opened_days_ago=43, ends_near_percent=96),
    Person(
        name="Gabriela Lima", plan="trial", calls_a_day=4, opened_days_ago=12, size_percent=60, ends_near_percent=100
    ),
    Person(
        name="Heitor Batista",
        plan="pro",
        calls_a_day=10,
        opened_days_ago=50,
        suspended_days_ago=6,
        suspension_reason="Uso suspeito: chamadas de dois países na mesma hora",
    ),
    Person(
        name="Isabela Teixeira",
        plan="basic",
        calls_a_day=38,
        opened_days_ago=54,
        size_percent=150,
        purchases=((33, 500_000), (4, 1_000_000)),
    ),
    Person(name="João Pedro Ramos", plan="trial", calls_a_day=2, opened_days_ago=8, size_percent=50),
    Person(name="Karen Miller", plan="premium", calls_a_day=11, opened_days_ago=41, locale="en"),
    Person(name="Lucas Pinheiro", plan="basic", calls_a_day=7, opened_days_ago=29, weekends=True),
)
