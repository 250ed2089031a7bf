"""One entry makes a service: what follows from the table, for a made-up fourth one and for those that stand in it."""

import re
from pathlib import Path
from pkgutil import resolve_name
from sys import modules
from types import ModuleType

import pytest
from language.settings import PresentationSettings
from local_run.addresses import Addresses
from local_run.commands.operate import PROGRAMS, UsageError, command_arguments, services_of
from local_run.data_folder import secret_names
from local_run.environments import Environments, settings_of
from local_run.parts import Service, Tool, Verb, in_turns, start_order
from local_run.ports import WANTED_PORTS
from local_run.servers.nats_authority import nats_users
from local_run.services import OPERATOR, PARTS, SERVICES, TOOLS
from typer.core import TyperGroup
from typer.main import get_command

ECHO = Service(
    name="echo",
    port=8006,
    migrates=True,
    publishes=("solaris.echo.>",),
    answers=("solaris.rpc.echo.>",),
    consumes=(("LEDGER", "echo-ledger"),),
    tells={"SOLARIS_ECHO_DELAY": "0"},
    defaults={"SOLARIS_ECHO_WORD": "olá"},
    shared_secrets=("SOLARIS_LINK_KEYS",),
    own_verbs={"echo": Verb(required=("ACCOUNT",))},
)
WITH_ECHO = (*SERVICES, ECHO)
PLAIN = Service(name="plain", port=8005)
"""A port, and nothing else."""
BESIDE = Service(name="beside", program="echo.beside", port=8007, has_role=True)
"""Another program of a package, at work on the tables of the first."""


class EchoSettings(PresentationSettings):
    """As `echo.settings` would have it."""

    echo_port: int
    echo_word: str
    echo_delay: float
    nats_url: str
    database_url: str


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """What the made-up service gets where the shell holds settings of others, secrets, and one of its own."""
    package = ModuleType("echo.settings")
    vars(package)["EchoSettings"] = EchoSettings
    monkeypatch.setitem(modules, "echo", ModuleType("echo"))
    monkeypatch.setitem(modules, "echo.settings", package)
    addresses = Addresses(
        instance="this-run",
        ports={"echo": 9004, "billing": 9002},
        host="127.0.0.1",
        database_urls={"echo": "postgresql://solaris_echo@/solaris"},
        nats_urls={"echo": "nats://echo@127.0.0.1"},
        owner_database_url="",
        operator_database_url="",
        operator_nats_url="",
        upstream_url="http://127.0.0.1:4000",
        smtp_url="smtp://127.0.0.1:1025",
        demo_stripe_url="http://127.0.0.1:9012",
    )
    shell = {
        "PATH": "/bin",
        "SOLARIS_LOCALE": "en",
        "SOLARIS_ECHO_DELAY": "9",
        "SOLARIS_DATABASE_URL": "postgresql://solaris@/solaris",
        "SOLARIS_GATEWAY_KEYS": "sk-of-a-librechat",
        "HTTPS_PROXY": "http://ana:hidden@proxy",
        "AWS_SECRET_ACCESS_KEY": "hidden",
    }
    environments = Environments(
        given=shell,
        data_directory=tmp_path,
        addresses=addresses,
        secrets={
            "gateway": "hidden",
            "stripe_key": "hidden",
            "stripe_webhook": "hidden",
            "link_keys": "of all who link",
        },
    )
    return environments.of_service(ECHO)


def test_a_service_is_told_its_own_settings_and_nothing_else(told: dict[str, str], tmp_path: Path) -> None:
    assert told == {
        "PATH": "/bin",
        "SOLARIS_LOCALE": "en",
        "SOLARIS_ECHO_DELAY": "0",
        "SOLARIS_ECHO_WORD": "olá",
        "SOLARIS_PURCHASE_URL": "http://127.0.0.1:9002/buy",
        "SOLARIS_LINK_KEYS": "of all who link",
        "SOLARIS_ECHO_PORT": "9004",
        "SOLARIS_DATABASE_URL": "postgresql://solaris_echo@/solaris",
        "SOLARIS_NATS_URL": "nats://echo@127.0.0.1",
        "SOLARIS_DATA_DIR": str(tmp_path),
        "SOLARIS_INSTANCE": "this-run",
        "SOLARIS_SHUTDOWN_SECONDS": "1.5",
    }


def test_one_entry_makes_a_port_a_role_and_passwords() -> None:
    assert ECHO.ports == {"echo": 8006}
    assert ECHO.role == "solaris_echo"
    assert set(secret_names(WITH_ECHO)) - set(secret_names(SERVICES)) == {"nats_echo", "postgres_echo"}
    assert PLAIN.role is None
    assert set(secret_names([PLAIN])) - set(secret_names([])) == {"nats_plain"}


def test_a_second_program_of_a_package_has_a_role_and_no_schema_of_its_own() -> None:
    assert (PLAIN.module, ECHO.module, BESIDE.module) == ("plain", "echo", "echo.beside")
    assert (BESIDE.role, BESIDE.migrates) == ("solaris_beside", False)
    assert set(secret_names([BESIDE])) - set(secret_names([])) == {"nats_beside", "postgres_beside"}


def test_a_secret_that_services_share_is_made_up_once_and_the_same_for_all(told: dict[str, str]) -> None:
    assert secret_names(SERVICES).count("link_keys") == 1
    assert told["SOLARIS_LINK_KEYS"] == "of all who link"
    sharing = [service.name for service in SERVICES if "SOLARIS_LINK_KEYS" in service.shared_secrets]
    assert set(sharing) >= {"gateway", "notifier"}


def test_a_secret_of_its_own_is_made_up_under_its_name() -> None:
    assert "gateway" in secret_names(SERVICES)
    assert {"ledger", "notifier"}.isdisjoint(secret_names(SERVICES))


def test_one_entry_makes_a_user_who_may_what_follows_from_it() -> None:
    users = {user.name: user for user in nats_users(WITH_ECHO)}
    assert set(users) == {OPERATOR, "gateway", "ledger", "projector", "notifier", "billing", "echo"}
    echo = users["echo"]
    assert echo.subscribe == ("_INBOX_echo.>", "solaris.rpc.echo.>")
    inboxes = {"_INBOX.>", *(f"_INBOX_{name}.>" for name in users)}
    assert set(echo.publish or ()) == inboxes | {
        "solaris.echo.>",
        "solaris.deadletter.>",
        "$JS.API.CONSUMER.INFO.LEDGER.echo-ledger",
        "$JS.API.CONSUMER.MSG.NEXT.LEDGER.echo-ledger",
        "$JS.ACK.LEDGER.echo-ledger.>",
    }
    assert "_INBOX_echo.>" in (users["ledger"].publish or ())  # who answers answers everybody
    assert users["gateway"].publish == {user.name: user for user in nats_users(SERVICES)}["gateway"].publish


def test_a_service_starts_before_those_that_call_it_and_stops_after_them() -> None:
    turns = [[part.name for part in together] for together in in_turns((*PARTS, ECHO))]
    assert turns == [
        ["gateway"],
        ["ledger", "projector", "notifier", "billing", "echo"],
        ["upstream", "mailbox", "stripe"],
        ["nats"],
        ["postgres"],
    ]
    started = [service.name for service in start_order(WITH_ECHO)]
    assert started == ["ledger", "projector", "notifier", "billing", "echo", "gateway"]


def test_a_service_has_its_own_verbs_and_those_of_dead_letters_where_it_consumes() -> None:
    assert services_of("echo", WITH_ECHO) == (ECHO,)
    for verb in ("dead-letters", "dead-letters-retry", "dead-letters-discard"):
        assert [service.name for service in services_of(verb, WITH_ECHO)] == ["ledger", "notifier", "billing", "echo"]
    assert PLAIN.verbs == {}
    with pytest.raises(UsageError, match="unknown command 'echo'"):
        command_arguments("echo", {})


# --- what stands in the table ---


def test_no_two_parts_share_a_name_or_a_port() -> None:
    assert len({part.name for part in PARTS}) == len(PARTS)
    assert len(set(WANTED_PORTS.values())) == sum(len(part.ports) for part in PARTS)


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_what_an_entry_names_exists(service: Service) -> None:
    variables = settings_of(service).variables()
    assert variables >= {
        *service.tells,
        *service.defaults,
        *service.shared_secrets,
        *([service.secret] if service.secret else []),
    }
    assert f"SOLARIS_{service.name.upper()}_PORT" in variables
    if service.also_reads is not None:
        assert callable(resolve_name(service.also_reads))


def test_a_verb_of_several_services_takes_the_same_of_all() -> None:
    for verb in {verb for service in SERVICES for verb in service.verbs}:
        assert len({service.verbs[verb] for service in services_of(verb)}) == 1


def test_make_has_each_verb_of_the_table_and_says_what_it_takes() -> None:
    makefile = (Path(__file__).parents[3] / "Makefile").read_text()
    section = makefile.partition("##@ Operate")[2]
    helps = dict(re.findall(r"^([a-z-]+):.*? ## (.*)$", section, re.MULTILINE))
    verbs = {name: verb for program in PROGRAMS for name, verb in program.verbs.items()}
    assert set(helps) == set(verbs)
    for name, verb in verbs.items():
        optional = set(re.findall(r"\[([A-Z_]+)=", helps[name]))
        assert set(re.findall(r"([A-Z_]+)=", helps[name])) - optional == set(verb.required), name
        assert optional <= set(verb.optional), name
    values = set(re.findall(r"^OPERATE_VALUES := (.*)$", makefile, re.MULTILINE)[0].split())
    assert values == {value for verb in verbs.values() for value in (*verb.required, *verb.optional)}


def test_make_has_a_target_for_each_verb() -> None:
    makefile = (Path(__file__).parents[3] / "Makefile").read_text()
    (targets,) = re.findall(r"^OPERATE_VERBS := (.*)$", makefile, re.MULTILINE)
    assert sorted(targets.split()) == sorted({verb for program in PROGRAMS for verb in program.verbs})


@pytest.mark.parametrize(
    "service", [*(service for service in SERVICES if service.verbs), *TOOLS], ids=lambda service: service.name
)
def test_an_entry_names_the_verbs_of_the_service_and_all_that_they_take(service: Service | Tool) -> None:
    group = get_command(resolve_name(f"{service.name}.operate.__main__:VERBS").commands([]))
    assert isinstance(group, TyperGroup)
    assert set(group.commands) == set(service.verbs)
    for name, verb in service.verbs.items():
        options = [each for each in group.commands[name].params if each.name != "help"]
        is_first = services_of(name)[0].name == service.name
        for required, variables in ((True, verb.required), (False, verb.optional)):
            takes = {option for each in options if each.required is required for option in each.opts[:1]}
            assert takes == {
                f"--{variable.lower()}" for variable in variables if is_first or variable not in verb.of_first
            }, name
