"""What the ledger reads from the environment."""

import re
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from chassis.setting_types import DatabaseUrl, NatsUrl, Port, WebUrl
from chassis.settings import ServiceSettings
from language.settings import ZoneSettings
from pydantic import AfterValidator, Field, SecretStr

KEY_DIGITS: Final = re.compile(r"[0-9a-f]{64}")


def check_key(digits: str) -> str:
    """A key of Ed25519, secret or public.

    Raises:
        ValueError: it is none.
    """
    if not KEY_DIGITS.fullmatch(digits):
        raise ValueError("must be 64 hexadecimal digits in lower case; `openssl rand -hex 32` makes a secret key")
    return digits


def _secret_key(value: SecretStr) -> SecretStr:
    check_key(value.get_secret_value())
    return value


def _public_keys(value: str) -> str:
    for each in filter(None, value.split(",")):
        check_key(each.strip())
    return value


def _place(value: str) -> str:
    if "://" in value and (not value.startswith("s3://") or not urlsplit(value).netloc):
        raise ValueError("must be a folder, or s3://bucket/prefix")
    return value.rstrip("/")


class ReconciliationSettings(ServiceSettings):
    """What comparing with other sides' figures needs, by the verb and by the process that has it done."""

    litellm_url: WebUrl | None = None
    """Where LiteLLM's own log is read, and with which key; only where it has a database."""
    litellm_key: SecretStr | None = None
    reconcile_threshold: float = Field(default=0.5, ge=0, le=100)
    """By how many percent figures may differ."""
    reconcile_keep_days: int = Field(default=400, ge=40)


class LedgerSettings(ZoneSettings, ReconciliationSettings):
    """The full list of the ledger's variables, prefix `SOLARIS_`."""

    database_url: DatabaseUrl
    nats_url: NatsUrl = ""
    ledger_port: Port = 8001
    catalog: Path = Path("deploy/catalog.toml")
    default_plan: str = "basic"
    hold_ttl_seconds: int = Field(default=900, ge=1, le=86_400)
    min_output_tokens: int = Field(default=256, ge=1)
    default_output_tokens: int = Field(default=4_096, ge=1)
    max_open_holds: int = Field(default=1_000, ge=1)
    openings_per_minute: int = Field(default=6_000, ge=1)
    sweep_seconds: float = Field(default=1.0, gt=0)
    profile_days: int = Field(default=1_825, ge=0)
    """How long name and address are kept of a person who is not heard of; 0 keeps them."""
    jetstream_replicas: int = Field(default=1, ge=1, le=5)
    checkpoint_key: Annotated[SecretStr, AfterValidator(_secret_key)] | None = None
    """Signs checkpoints; without it, or the file, none are made."""
    checkpoint_key_file: Path | None = None
    """Holds the key, and rules where both are set."""
    checkpoint_public_keys: Annotated[str, AfterValidator(_public_keys)] = ""
    """Believed beside that of the key, with commas between: of keys of before, or where checkpoints are only read."""
    checkpoint_seconds: int = Field(default=3_600, ge=1, le=86_400)
    checkpoint_keep_days: int = Field(default=400, ge=0)
    checkpoints: Annotated[str, AfterValidator(_place)] = ""
    checkpoints_s3_url: WebUrl | None = None
    checkpoints_s3_region: str = "us-east-1"
    checkpoints_s3_key_id: str = ""
    checkpoints_s3_secret: SecretStr | None = None

    @property
    def believed_checkpoint_keys(self) -> list[str]:
        return [each.strip() for each in self.checkpoint_public_keys.split(",") if each.strip()]

    @property
    def makes_checkpoints(self) -> bool:
        return self.checkpoint_key is not None or self.checkpoint_key_file is not None
