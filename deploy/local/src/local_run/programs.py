"""The command line of each program of ours."""

import sys

from local_run.addresses import local_base_url
from local_run.environments import Environments
from local_run.parts import Service
from local_run.supervision.process import Program


def service_program(service: Service, environments: Environments) -> Program:
    """One service with its own credentials and nobody else's."""
    return _program(service.name, service.module, environment=environments.of_service(service))


def migration_program(service: Service, environments: Environments) -> Program:
    """The service's migrations, with the owner's rights."""
    name = f"{service.name} migrations"
    return _program(name, "chassis.migrate", service.name, environment=environments.of_migrations())


def demo_upstream_program(environments: Environments) -> Program:
    port = str(environments.addresses.ports["upstream"])
    return _program("upstream", "local_run.demo_upstream", "--port", port, environment=environments.of_helper())


def mailbox_program(environments: Environments) -> Program:
    ports = environments.addresses.ports
    options = ("--smtp-port", str(ports["smtp"]), "--web-port", str(ports["mailbox"]))
    directory = ("--directory", str(environments.data_directory / "mail"))
    return _program("mailbox", "local_run.mailbox", *directory, *options, environment=environments.of_helper())


def demo_stripe_program(environments: Environments) -> Program:
    addresses = environments.addresses
    webhook = f"{local_base_url(addresses.ports['billing'], addresses.host)}/billing/webhook/stripe"
    file = str(environments.data_directory / "stripe" / "stripe.sqlite")
    options = ("--port", str(addresses.ports["stripe"]), "--file", file, "--webhook-url", webhook)
    return _program("stripe", "local_run.demo_stripe", *options, environment=environments.of_demo_stripe())


def _program(name: str, module: str, *arguments: str, environment: dict[str, str]) -> Program:
    return Program(name=name, command=(sys.executable, "-m", module, *arguments), environment=environment)
