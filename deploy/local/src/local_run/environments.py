"""What each program is told, and whether it will take it."""

from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Final

from chassis.setting_types import did_you_mean
from chassis.settings import ServiceSettings

from local_run.addresses import Addresses
from local_run.data_folder import DataFolder
from local_run.parts import Service, start_order
from local_run.services import SERVICES
from local_run.settings import LocalSettings
from local_run.supervision.process import system_environment

INSTANCE_VARIABLE: Final = "SOLARIS_INSTANCE"


def settings_of(service: Service) -> type[ServiceSettings]:
    """The class that lists all that the service reads from the environment."""
    found: type[ServiceSettings] = resolve_name(f"{service.name}.settings:{service.name.title()}Settings")
    return found


def service_environment(
    service: Service,
    environment: Mapping[str, str],
    folder: DataFolder,
    addresses: Addresses,
    secrets: Mapping[str, str],
) -> dict[str, str]:
    """All that one service gets: what the system needs, its own settings of `environment`, and its own credentials."""
    unless_given = {**service.defaults, **({service.secret: secrets[service.name]} if service.secret else {})}
    given = {name: value for name, value in environment.items() if value}
    known = {
        **_common(folder, addresses),
        f"SOLARIS_{service.name.upper()}_PORT": str(addresses.ports[service.name]),
        "SOLARIS_NATS_URL": addresses.nats_urls[service.name],
        "SOLARIS_DATABASE_URL": addresses.database_urls.get(service.name, ""),
        "SOLARIS_UPSTREAM_URL": addresses.upstream_url,
        "SOLARIS_SMTP_URL": addresses.smtp_url,
        "SOLARIS_SHUTDOWN_SECONDS": str(service.shutdown_seconds),
        **service.tells,
    }
    named = settings_of(service).variables()
    settings = {name: value for name, value in (unless_given | given | known).items() if name in named}
    seen = {name: value for name, value in environment.items() if name.upper() in service.sees}
    return system_environment(environment) | seen | settings


def migration_environment(environment: Mapping[str, str], folder: DataFolder, addresses: Addresses) -> dict[str, str]:
    """What a service's migrations get: what all services read, and the owner's rights."""
    named = ServiceSettings.variables()
    given = {name: value for name, value in environment.items() if name in named and value}
    told = given | _common(folder, addresses) | {"SOLARIS_DATABASE_URL": addresses.owner_database_url}
    return system_environment(environment) | told


def helper_environment(environment: Mapping[str, str], addresses: Addresses) -> dict[str, str]:
    """What the demo's programs get, which read their command line."""
    return system_environment(environment) | {INSTANCE_VARIABLE: addresses.instance}


def operator_environment(
    environment: Mapping[str, str],
    folder: DataFolder,
    addresses: Addresses,
    secrets: Mapping[str, str],
) -> dict[str, str]:
    """The `SOLARIS_…` variables with which commands act on the stack: what their verbs read, with operator rights."""
    told: dict[str, str] = {}
    for service in SERVICES:
        if service.verbs_read_settings:
            told |= service_environment(service, environment, folder, addresses, secrets)
    settings = {name: value for name, value in told.items() if name.startswith("SOLARIS_")}
    ports = {f"SOLARIS_{name.upper()}_PORT": str(port) for name, port in addresses.ports.items()}
    urls = {
        "SOLARIS_DATABASE_URL": addresses.operator_database_url,
        "SOLARIS_NATS_URL": addresses.operator_nats_url,
    }
    return settings | ports | urls


def _common(folder: DataFolder, addresses: Addresses) -> dict[str, str]:
    return {"SOLARIS_DATA_DIR": str(folder.path), INSTANCE_VARIABLE: addresses.instance}


def check_settings(environment: Mapping[str, str], folder: DataFolder, addresses: Addresses) -> None:
    """Read every service's settings as the service will.

    Raises:
        SettingsError: a service would refuse to start; the text says why in one line.
    """
    secrets = {service.name: "only its presence is looked at here" for service in SERVICES}
    for service in start_order(SERVICES):
        settings = settings_of(service).read(service_environment(service, environment, folder, addresses, secrets))
        if service.also_reads is not None:
            resolve_name(service.also_reads)(settings)


def misspelt_settings(environment: Mapping[str, str]) -> list[str]:
    """One line for each `SOLARIS_…` variable that nothing reads, and that is close to one that something does."""
    known = set(LocalSettings.VARIABLES).union(*(settings_of(service).variables() for service in SERVICES))
    unknown = (name for name in sorted(environment) if name.startswith("SOLARIS_") and name not in known)
    hints = ((name, did_you_mean(name, sorted(known), cutoff=0.88)) for name in unknown)
    return [f"{name} is read by nothing{hint}" for name, hint in hints if hint]
