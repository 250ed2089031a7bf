"""Which programs the stack has beside Postgres and NATS, and what each of them is told."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local_run.data_folder import DataFolder
from local_run.ports import LOOPBACK
from local_run.process import Program
from local_run.settings import DEVELOPMENT_KEY

SERVICES: Final = ("ledger", "notifier", "gateway")
MIGRATED: Final = ("ledger", "notifier")
SHUTDOWN_SECONDS: Final = {"gateway": 3.5, "ledger": 1.5, "notifier": 1.5}
"""How long a service may take to finish; together with the servers' own time within the 10 s of a stop."""

_REPOSITORY: Final = Path(__file__).parents[4]
_READERS: Final = {
    "SOLARIS_GATEWAY_KEYS": "gateway",
    "SOLARIS_GATEWAY_SECRET": "gateway",
    "SOLARIS_UPSTREAM_URL": "gateway",
    "SOLARIS_UPSTREAM_API_KEY": "gateway",
    "SOLARIS_SMTP_URL": "notifier",
    "SOLARIS_DATABASE_URL": "",
    "SOLARIS_NATS_URL": "",
}
"""Variables with secrets in them go to the one service that reads them, or to none as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the parts are: the services on `host`, the others on loopback.

    URLs by service carry that service's own credentials.
    """

    ports: Mapping[str, int]
    host: str
    database_urls: Mapping[str, str]
    nats_urls: Mapping[str, str]
    owner_database_url: str
    operator_database_url: str
    operator_nats_url: str
    upstream_url: str
    smtp_url: str


def shared_environment(folder: DataFolder, addresses: Addresses) -> dict[str, str]:
    """What every service is told: the caller's environment without the secrets, and the addresses."""
    environment = {name: value for name, value in os.environ.items() if name not in _READERS}
    environment.setdefault("SOLARIS_CATALOG", str(_REPOSITORY / "deploy" / "catalog.toml"))
    environment["SOLARIS_DATA_DIR"] = str(folder.path)
    for name, port in addresses.ports.items():
        environment[f"SOLARIS_{name.upper()}_PORT"] = str(port)
    return environment


def service_program(service: str, folder: DataFolder, addresses: Addresses, secrets: Mapping[str, str]) -> Program:
    """One service with its own credentials and nobody else's."""
    environment = shared_environment(folder, addresses)
    environment |= {
        name: os.environ[name] for name, reader in _READERS.items() if reader == service and name in os.environ
    }
    environment["SOLARIS_SHUTDOWN_SECONDS"] = str(SHUTDOWN_SECONDS[service])
    environment["SOLARIS_NATS_URL"] = addresses.nats_urls[service]
    if service in addresses.database_urls:
        environment["SOLARIS_DATABASE_URL"] = addresses.database_urls[service]
    if service == "gateway":
        environment.setdefault("SOLARIS_GATEWAY_KEYS", DEVELOPMENT_KEY)
        environment.setdefault("SOLARIS_GATEWAY_SECRET", secrets["gateway"])
        environment["SOLARIS_UPSTREAM_URL"] = addresses.upstream_url
    if service == "notifier":
        environment["SOLARIS_SMTP_URL"] = addresses.smtp_url
        environment.setdefault("SOLARIS_MAIL_FROM", "nao-responda@solaris.localhost")
    return Program(name=service, command=(sys.executable, "-m", service), environment=environment)


def migration_program(service: str, folder: DataFolder, addresses: Addresses) -> Program:
    """The service's migrations, with the owner's rights."""
    environment = shared_environment(folder, addresses) | {"SOLARIS_DATABASE_URL": addresses.owner_database_url}
    return Program(
        name=f"{service} migrations", command=(sys.executable, "-m", f"{service}.migrate"), environment=environment
    )


def demo_upstream_program(folder: DataFolder, addresses: Addresses) -> Program:
    return Program(
        name="upstream",
        command=(sys.executable, "-m", "local_run.demo_upstream", "--port", str(addresses.ports["upstream"])),
        environment=shared_environment(folder, addresses),
    )


def mailbox_program(folder: DataFolder, addresses: Addresses) -> Program:
    ports = ("--smtp-port", str(addresses.ports["smtp"]), "--web-port", str(addresses.ports["mailbox"]))
    return Program(
        name="mailbox",
        command=(sys.executable, "-m", "local_run.mailbox", "--directory", str(folder.path / "mail"), *ports),
        environment=shared_environment(folder, addresses),
    )


def operator_environment(folder: DataFolder, addresses: Addresses) -> dict[str, str]:
    """The `SOLARIS_…` variables with which a command acts on the stack with operator rights."""
    shared = shared_environment(folder, addresses)
    environment = {name: value for name, value in shared.items() if name.startswith("SOLARIS_")}
    environment["SOLARIS_DATABASE_URL"] = addresses.operator_database_url
    environment["SOLARIS_NATS_URL"] = addresses.operator_nats_url
    return environment


def local_base_url(port: int, host: str = LOOPBACK) -> str:
    return f"http://{host}:{port}"
