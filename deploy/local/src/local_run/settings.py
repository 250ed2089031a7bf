"""What the local run reads from the environment; everything else there is passed on to the services."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Self

from chassis.setting_types import DEVELOPMENT_KEY

from local_run.ports import LOOPBACK, WANTED_PORTS

_OFF: Final = ("off", "no", "false", "0")
_EVERY_INTERFACE: Final = ("", "0.0.0.0", "::", "localhost")  # noqa: S104  compared with, not listened on


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """`database_url`, `nats_url`, `upstream_url`, `smtp_url` name a server that is used in place of our own.

    With a `stripe_api_key` Stripe itself is used in place of the demo; without it and without the demo, none.
    """

    VARIABLES: ClassVar = (
        *(f"SOLARIS_{name.upper()}_PORT" for name in WANTED_PORTS),
        *(f"SOLARIS_{name}" for name in ("DATA_DIR", "HOST", "DATABASE_URL", "NATS_URL", "UPSTREAM_URL", "SMTP_URL")),
        *("SOLARIS_STRIPE_API_KEY", "SOLARIS_DEMO_STRIPE"),
    )

    data_dir: Path
    host: str
    database_url: str | None
    nats_url: str | None
    upstream_url: str | None
    smtp_url: str | None
    gateway_keys: str
    stripe_api_key: str | None
    demo_stripe: bool

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> Self:
        def read(name: str) -> str | None:
            return environment.get(f"SOLARIS_{name}") or None

        return cls(
            data_dir=Path(read("DATA_DIR") or ".solaris"),
            host=read("HOST") or LOOPBACK,
            database_url=read("DATABASE_URL"),
            nats_url=read("NATS_URL"),
            upstream_url=read("UPSTREAM_URL"),
            smtp_url=read("SMTP_URL"),
            gateway_keys=read("GATEWAY_KEYS") or DEVELOPMENT_KEY,
            stripe_api_key=read("STRIPE_API_KEY"),
            demo_stripe=(read("DEMO_STRIPE") or "on").strip().lower() not in _OFF,
        )

    @property
    def reachable_host(self) -> str:
        """Where a process of this machine finds the services."""
        return LOOPBACK if self.host in _EVERY_INTERFACE else self.host
