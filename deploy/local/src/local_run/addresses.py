"""Where the parts of one run are."""

from collections.abc import Mapping
from dataclasses import dataclass

from local_run.ports import LOOPBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the parts are: the services on `host`, the others on loopback.

    URLs by service carry that service's own credentials. `instance` names this run: the parts answer with it.
    `demo_stripe_url` is None where purchases go to a real Stripe, or to none.
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
    demo_stripe_url: str | None


def local_base_url(port: int, host: str = LOOPBACK) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
