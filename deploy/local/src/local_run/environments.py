"""What each program is told, and whether it will take it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Final

from chassis.setting_types import did_you_mean
from chassis.settings import ServiceSettings
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from local_run.addresses import Addresses, local_base_url
from local_run.data_folder import shared_secret_name
from local_run.parts import Service, start_order
from local_run.services import CHECKPOINT_KEY, SERVICES
from local_run.settings import LocalSettings
from local_run.supervision.process import system_environment

INSTANCE_VARIABLE: Final = "SOLARIS_INSTANCE"


def settings_of(service: Service) -> type[ServiceSettings]:
    """The class that lists all that the service reads from the environment."""
    found: type[ServiceSettings] = resolve_name(f"{service.module}.settings:{service.name.title()}Settings")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Environments:
    """What each program gets of `given`, the environment that the run was started in, and what it is told beside."""

    given: Mapping[str, str]
    data_directory: Path
    addresses: Addresses
    secrets: Mapping[str, str]

    def of_service(self, service: Service) -> dict[str, str]:
        """What the system needs, the service's own settings, and its own credentials."""
        made_up = {variable: self.secrets[shared_secret_name(variable)] for variable in service.shared_secrets}
        if service.secret:
            made_up[service.secret] = self.secrets[service.name]
        known = {
            **self._common,
            f"SOLARIS_{service.name.upper()}_PORT": str(self.addresses.ports[service.name]),
            "SOLARIS_NATS_URL": self.addresses.nats_urls[service.name],
            "SOLARIS_DATABASE_URL": self.addresses.database_urls.get(service.name, ""),
            "SOLARIS_UPSTREAM_URL": self.addresses.upstream_url,
            "SOLARIS_SMTP_URL": self.addresses.smtp_url,
            "SOLARIS_SHUTDOWN_SECONDS": str(service.shutdown_seconds),
            **self.demo_stripe,
            **service.tells,
        }
        told = {**service.defaults, **made_up, **self._where_to_buy, **self._set, **known}
        named = settings_of(service).variables()
        seen = {name: value for name, value in self.given.items() if name.upper() in service.sees}
        return self._system | seen | {name: value for name, value in told.items() if name in named}

    def of_migrations(self) -> dict[str, str]:
        """What all services read, and the owner's rights."""
        named = ServiceSettings.variables()
        settings = {name: value for name, value in self._set.items() if name in named}
        return self._system | settings | self._common | {"SOLARIS_DATABASE_URL": self.addresses.owner_database_url}

    def of_helper(self) -> dict[str, str]:
        """What the demo's programs get, which read their command line."""
        return self._system | {INSTANCE_VARIABLE: self.addresses.instance}

    def of_demo_stripe(self) -> dict[str, str]:
        """What a helper gets, and what billing is told of it."""
        return self.of_helper() | self.demo_stripe

    @property
    def demo_stripe(self) -> dict[str, str]:
        """How the demo Stripe is reached; nothing where it is not used, or not known yet."""
        if self.addresses.demo_stripe_url is None:
            return {}
        return {
            "SOLARIS_STRIPE_API_BASE": self.addresses.demo_stripe_url,
            "SOLARIS_STRIPE_API_KEY": demo_stripe_key(self.secrets),
            "SOLARIS_STRIPE_WEBHOOK_SECRETS": f"whsec_{self.secrets['stripe_webhook']}",
        }

    def of_operator(self) -> dict[str, str]:
        """The `SOLARIS_…` variables with which commands act on the stack: what their verbs read, and all rights."""
        told: dict[str, str] = {}
        for service in SERVICES:
            if service.verbs_read_settings:
                told |= self.of_service(service)
        settings = {name: value for name, value in told.items() if name.startswith("SOLARIS_")}
        if key := settings.get(CHECKPOINT_KEY):
            public = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key)).public_key().public_bytes_raw().hex()
            settings.setdefault("SOLARIS_CHECKPOINT_PUBLIC_KEYS", public)
        ports = {f"SOLARIS_{name.upper()}_PORT": str(port) for name, port in self.addresses.ports.items()}
        urls = {
            "SOLARIS_DATABASE_URL": self.addresses.operator_database_url,
            "SOLARIS_NATS_URL": self.addresses.operator_nats_url,
        }
        return settings | ports | urls

    def check(self) -> None:
        """Read every service's settings as the service will.

        Raises:
            SettingsError: a service would refuse to start; the text says why in one line.
        """
        for service in start_order(SERVICES):
            settings = settings_of(service).read(self.of_service(service))
            if service.also_reads is not None:
                resolve_name(service.also_reads)(settings)

    @property
    def _where_to_buy(self) -> dict[str, str]:
        """Billing's own page, where purchases are on."""
        if not self.demo_stripe and not self._set.get("SOLARIS_STRIPE_API_KEY"):
            return {}
        billing = local_base_url(self.addresses.ports["billing"], self.addresses.host)
        return {"SOLARIS_PURCHASE_URL": f"{billing}/buy"}

    @property
    def _system(self) -> dict[str, str]:
        return system_environment(self.given)

    @property
    def _set(self) -> dict[str, str]:
        return {name: value for name, value in self.given.items() if value}

    @property
    def _common(self) -> dict[str, str]:
        return {"SOLARIS_DATA_DIR": str(self.data_directory), INSTANCE_VARIABLE: self.addresses.instance}


def demo_stripe_key(secrets: Mapping[str, str]) -> str:
    """As keys of Stripe's test mode look: nobody takes it for one that moves money."""
    return f"sk_test_{secrets['stripe_key']}"


def misspelt_settings(environment: Mapping[str, str]) -> list[str]:
    """One line for each `SOLARIS_…` variable that nothing reads, and that is close to one that something does."""
    known = set(LocalSettings.VARIABLES).union(*(settings_of(service).variables() for service in SERVICES))
    unknown = (name for name in sorted(environment) if name.startswith("SOLARIS_") and name not in known)
    hints = ((name, did_you_mean(name, sorted(known), cutoff=0.88)) for name in unknown)
    return [f"{name} is read by nothing{hint}" for name, hint in hints if hint]
