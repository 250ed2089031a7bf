"""What every service reads from the environment, prefix `SOLARIS_`."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def _check_nats_url(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in ("nats", "tls") or not parts.hostname):
        raise ValueError("must be nats://host:port or tls://host:port, with a user and password where needed")
    return url


NatsUrl = Annotated[str, AfterValidator(_check_nats_url)]
"""Empty where a part of the service can do without."""


class ServiceSettings(BaseSettings):
    """Base of each service's settings class; the class is the full list of what that service reads."""

    model_config = SettingsConfigDict(env_prefix="SOLARIS_", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    data_dir: Path = Path(".solaris")
    log_level: str = "info"
    timezone: str = "America/Sao_Paulo"
    locale: str = "pt-BR"
    brand: str = "IA SOLARIS"
    public_url: str = "http://127.0.0.1:8080"
    shutdown_seconds: float = 8.0

    @field_validator("timezone")
    @classmethod
    def _known_time_zone(cls, value: str) -> str:
        ZoneInfo(value)
        return value

    @classmethod
    def load(cls) -> Self:
        """Read the environment.

        Raises:
            SystemExit: a variable is missing or invalid; the message names it and never shows a value.
        """
        try:
            return cls()
        except ValidationError as error:
            problems = "; ".join(
                f"SOLARIS_{'_'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
                for item in error.errors()
            )
            raise SystemExit(f"cannot start: {problems}") from None
