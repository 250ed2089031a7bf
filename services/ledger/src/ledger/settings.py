"""What the ledger reads from the environment."""

from pathlib import Path

from chassis.setting_types import DatabaseUrl, NatsUrl, Port
from language.settings import ZoneSettings
from pydantic import Field


class LedgerSettings(ZoneSettings):
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
    jetstream_replicas: int = Field(default=1, ge=1, le=5)
