"""The environments of a local run whose addresses are made up."""

from collections.abc import Mapping
from pathlib import Path

from local_run.addresses import Addresses
from local_run.environments import Environments
from local_run.ports import WANTED_PORTS
from local_run.services import SERVICES


def made_up_environments(
    secrets: Mapping[str, str], given: Mapping[str, str], *, demo_stripe_url: str | None = None
) -> Environments:
    """`given` is what the caller's shell holds."""
    names = [service.name for service in SERVICES]
    addresses = Addresses(
        instance="this-run",
        ports=dict(WANTED_PORTS),
        host="127.0.0.1",
        database_urls=dict.fromkeys(names, "postgresql://"),
        nats_urls=dict.fromkeys(names, "nats://"),
        owner_database_url="",
        operator_database_url="",
        operator_nats_url="",
        upstream_url="http://127.0.0.1:4000",
        smtp_url="smtp://127.0.0.1:1025",
        demo_stripe_url=demo_stripe_url,
    )
    return Environments(given=given, data_directory=Path("/data"), addresses=addresses, secrets=secrets)
