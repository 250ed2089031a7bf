"""Which programs the stack has beside Postgres and NATS, and what each of them is told."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chassis.setting_types import did_you_mean
from chassis.settings import ServiceSettings
from gateway.settings import GatewaySettings
from ledger.catalog_file import load_policy
from ledger.settings import LedgerSettings
from notifier.settings import NotifierSettings

from local_run.data_folder import DataFolder
from local_run.ports import LOOPBACK
from local_run.process import Program, system_environment
from local_run.settings import DEVELOPMENT_KEY, LocalSettings

SERVICES: Final[Mapping[str, type[ServiceSettings]]] = {
    "ledger": LedgerSettings,
    "notifier": NotifierSettings,
    "gateway": GatewaySettings,
}
"""In the order in which they start; a service is told what its settings name, and nothing else."""

MIGRATED: Final = ("ledger", "notifier")
SHUTDOWN_SECONDS: Final = {"gateway": 3.5, "ledger": 1.5, "notifier": 1.5}
"""How long a service may take to finish; together with the servers' own time within the 10 s of a stop."""

INSTANCE_VARIABLE: Final = "SOLARIS_INSTANCE"
_REPOSITORY: Final = Path(__file__).parents[4]
_PROXIES: Final = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"})
"""Where requests to the upstream may have to pass; they can hold a password, and only the gateway has requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the parts are: the services on `host`, the others on loopback.

    URLs by service carry that service's own credentials. `instance` names this run: the parts answer with it.
    """

    instance: str
    ports: Mapping[str, int]
    host: str
    database_urls: Mapping[str, str]
    nats_urls: Mapping[str, str]
    owner_database_url: str
    operator_database_url: str
    operator_nats_url: str
    upstream_url: str
    smtp_url: str


def service_environment(
    service: str, environment: Mapping[str, str], folder: DataFolder, addresses: Addresses, secrets: Mapping[str, str]
) -> dict[str, str]:
    """All that one service gets: what the system needs, its own settings of `environment`, and its own credentials."""
    allowed = SERVICES[service].variables()
    given = {name: value for name, value in environment.items() if name in allowed and value}
    known = _common(folder, addresses) | {
        f"SOLARIS_{service.upper()}_PORT": str(addresses.ports[service]),
        "SOLARIS_NATS_URL": addresses.nats_urls[service],
        "SOLARIS_SHUTDOWN_SECONDS": str(SHUTDOWN_SECONDS[service]),
    }
    unless_given: dict[str, str] = {}
    match service:
        case "gateway":
            known["SOLARIS_UPSTREAM_URL"] = addresses.upstream_url
            known["SOLARIS_STOP_NOTICE_SECONDS"] = "0"
            unless_given = {"SOLARIS_GATEWAY_KEYS": DEVELOPMENT_KEY, "SOLARIS_GATEWAY_SECRET": secrets["gateway"]}
            given |= {name: value for name, value in environment.items() if name.upper() in _PROXIES}
        case "ledger":
            unless_given = {"SOLARIS_CATALOG": str(_REPOSITORY / "deploy" / "catalog.toml")}
        case "notifier":
            known["SOLARIS_SMTP_URL"] = addresses.smtp_url
            unless_given = {"SOLARIS_MAIL_FROM": "nao-responda@solaris.localhost"}
    if service in addresses.database_urls:
        known["SOLARIS_DATABASE_URL"] = addresses.database_urls[service]
    return system_environment(environment) | unless_given | given | known


def _common(folder: DataFolder, addresses: Addresses) -> dict[str, str]:
    return {"SOLARIS_DATA_DIR": str(folder.path), INSTANCE_VARIABLE: addresses.instance}


def check_settings(environment: Mapping[str, str], folder: DataFolder, addresses: Addresses) -> None:
    """Read every service's settings as the service will.

    Raises:
        SettingsError, CatalogError: a service would refuse to start; the text says why in one line.
    """
    for service, settings in SERVICES.items():
        secrets = {"gateway": "only its presence is looked at here"}
        read = settings.read(service_environment(service, environment, folder, addresses, secrets))
        if isinstance(read, LedgerSettings):
            load_policy(read)


def misspelt_settings(environment: Mapping[str, str]) -> list[str]:
    """One line for each `SOLARIS_…` variable that nothing reads, and that is close to one that something does."""
    known = set(LocalSettings.VARIABLES).union(*(settings.variables() for settings in SERVICES.values()))
    unknown = (name for name in sorted(environment) if name.startswith("SOLARIS_") and name not in known)
    hints = ((name, did_you_mean(name, sorted(known), cutoff=0.88)) for name in unknown)
    return [f"{name} is read by nothing{hint}" for name, hint in hints if hint]


def service_program(
    service: str, environment: Mapping[str, str], folder: DataFolder, addresses: Addresses, secrets: Mapping[str, str]
) -> Program:
    """One service with its own credentials and nobody else's."""
    told = service_environment(service, environment, folder, addresses, secrets)
    return Program(name=service, command=(sys.executable, "-m", service), environment=told)


def migration_program(
    service: str, environment: Mapping[str, str], folder: DataFolder, addresses: Addresses
) -> Program:
    """The service's migrations, with the owner's rights."""
    allowed = ServiceSettings.variables()
    given = {name: value for name, value in environment.items() if name in allowed and value}
    told = given | _common(folder, addresses) | {"SOLARIS_DATABASE_URL": addresses.owner_database_url}
    return Program(
        name=f"{service} migrations",
        command=(sys.executable, "-m", f"{service}.migrate"),
        environment=system_environment(environment) | told,
    )


def demo_upstream_program(environment: Mapping[str, str], addresses: Addresses) -> Program:
    return Program(
        name="upstream",
        command=(sys.executable, "-m", "local_run.demo_upstream", "--port", str(addresses.ports["upstream"])),
        environment=system_environment(environment) | {INSTANCE_VARIABLE: addresses.instance},
    )


def mailbox_program(environment: Mapping[str, str], folder: DataFolder, addresses: Addresses) -> Program:
    ports = ("--smtp-port", str(addresses.ports["smtp"]), "--web-port", str(addresses.ports["mailbox"]))
    return Program(
        name="mailbox",
        command=(sys.executable, "-m", "local_run.mailbox", "--directory", str(folder.path / "mail"), *ports),
        environment=system_environment(environment) | {INSTANCE_VARIABLE: addresses.instance},
    )


def operator_environment(
    environment: Mapping[str, str], folder: DataFolder, addresses: Addresses, secrets: Mapping[str, str]
) -> dict[str, str]:
    """The `SOLARIS_…` variables with which a command acts on the stack: the ledger's settings, with operator rights."""
    told = service_environment("ledger", environment, folder, addresses, secrets)
    settings = {name: value for name, value in told.items() if name.startswith("SOLARIS_")}
    ports = {f"SOLARIS_{name.upper()}_PORT": str(port) for name, port in addresses.ports.items()}
    urls = {
        "SOLARIS_DATABASE_URL": addresses.operator_database_url,
        "SOLARIS_NATS_URL": addresses.operator_nats_url,
    }
    return settings | ports | urls


def local_base_url(port: int, host: str = LOOPBACK) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
