"""Who the demo's people are and how they use the chat; all of them made up, at a domain that delivers nothing."""

from typing import Final

from msgspec import Struct


class Person(Struct, frozen=True, kw_only=True):
    """`calls_a_day` on a working day; `size_percent` scales the length of prompts and answers.

    `opened_days_ago` also sets the day on which the cycles start. `ends_near_percent` brings the last cycle to that
    share of the allowance, 100 to its very end; `purchases` are (days ago, tokens).
    """

    account_id: str
    name: str
    email: str
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


PEOPLE: Final = (
    Person(
        account_id="demo-ana",
        name="Ana Souza",
        email="ana.souza@example.com",
        plan="basic",
        calls_a_day=12,
        opened_days_ago=52,
    ),
    Person(
        account_id="demo-bruno",
        name="Bruno Carvalho",
        email="bruno.carvalho@example.com",
        plan="pro",
        calls_a_day=18,
        opened_days_ago=47,
        purchases=((9, 500_000),),
    ),
    Person(
        account_id="demo-camila",
        name="Camila Ferreira",
        email="camila.ferreira@example.com",
        plan="premium",
        calls_a_day=22,
        opened_days_ago=55,
        size_percent=130,
        weekends=True,
    ),
    Person(
        account_id="demo-diego",
        name="Diego Nogueira",
        email="diego.nogueira@example.com",
        plan="basic",
        calls_a_day=3,
        opened_days_ago=39,
        size_percent=70,
    ),
    Person(
        account_id="demo-elisa",
        name="Elisa Araújo",
        email="elisa.araujo@example.com",
        plan="enterprise",
        calls_a_day=34,
        opened_days_ago=56,
        size_percent=160,
        weekends=True,
    ),
    Person(
        account_id="demo-felipe",
        name="Felipe Moraes",
        email="felipe.moraes@example.com",
        plan="basic",
        calls_a_day=9,
        opened_days_ago=43,
        ends_near_percent=96,
    ),
    Person(
        account_id="demo-gabriela",
        name="Gabriela Lima",
        email="gabriela.lima@example.com",
        plan="trial",
        calls_a_day=4,
        opened_days_ago=12,
        size_percent=60,
        ends_near_percent=100,
    ),
    Person(
        account_id="demo-heitor",
        name="Heitor Batista",
        email="heitor.batista@example.com",
        plan="pro",
        calls_a_day=10,
        opened_days_ago=50,
        suspended_days_ago=6,
        suspension_reason="Uso suspeito: chamadas de dois países na mesma hora",
    ),
    Person(
        account_id="demo-isabela",
        name="Isabela Teixeira",
        email="isabela.teixeira@example.com",
        plan="basic",
        calls_a_day=38,
        opened_days_ago=54,
        size_percent=150,
        purchases=((33, 500_000), (4, 1_000_000)),
    ),
    Person(
        account_id="demo-joao",
        name="João Pedro Ramos",
        email="joao.ramos@example.com",
        plan="trial",
        calls_a_day=2,
        opened_days_ago=8,
        size_percent=50,
    ),
    Person(
        account_id="demo-karen",
        name="Karen Miller",
        email="karen.miller@example.com",
        plan="premium",
        calls_a_day=11,
        opened_days_ago=41,
        locale="en",
    ),
    Person(
        account_id="demo-lucas",
        name="Lucas Pinheiro",
        email="lucas.pinheiro@example.com",
        plan="basic",
        calls_a_day=7,
        opened_days_ago=29,
        weekends=True,
    ),
)
