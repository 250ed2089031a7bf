"""The command line of each program of ours."""

import sys
from collections.abc import Mapping

from local_run.addresses import Addresses
from local_run.data_folder import DataFolder
from local_run.environments import helper_environment, migration_environment, service_environment
from local_run.parts import Service
from local_run.supervision.process import Program


def service_program(
    service: Service,
    environment: Mapping[str, str],
    folder: DataFolder,
    addresses: Addresses,
    secrets: Mapping[str, str],
) -> Program:
    """One service with its own credentials and nobody else's."""
    told = service_environment(service, environment, folder, addresses, secrets)
    return Program(name=service.name, command=(sys.executable, "-m", service.name), environment=told)


def migration_program(
    service: Service, environment: Mapping[str, str], folder: DataFolder, addresses: Addresses
) -> Program:
    """The service's migrations, with the owner's rights."""
    return Program(
        name=f"{service.name} migrations",
        command=(sys.executable, "-m", "chassis.migrate", service.name),
        environment=migration_environment(environment, folder, addresses),
    )


def demo_upstream_program(environment: Mapping[str, str], addresses: Addresses) -> Program:
    return Program(
        name="upstream",
        command=(sys.executable, "-m", "local_run.demo_upstream", "--port", str(addresses.ports["upstream"])),
        environment=helper_environment(environment, addresses),
    )


def mailbox_program(environment: Mapping[str, str], folder: DataFolder, addresses: Addresses) -> Program:
    ports = ("--smtp-port", str(addresses.ports["smtp"]), "--web-port", str(addresses.ports["mailbox"]))
    return Program(
        name="mailbox",
        command=(sys.executable, "-m", "local_run.mailbox", "--directory", str(folder.path / "mail"), *ports),
        environment=helper_environment(environment, addresses),
    )
