"""What the projector reads from the environment."""

from chassis.setting_types import DatabaseUrl, NatsUrl, Port
from language.settings import ZoneSettings
from pydantic import Field


class ProjectorSettings(ZoneSettings):
    """The full list of the projector's variables, prefix `SOLARIS_`."""

    database_url: DatabaseUrl
    nats_url: NatsUrl = ""
    """Where billing is heard; without it revenue stands still, and projections go on."""
    projector_port: Port = 8004
    projector_lag_seconds: float = Field(default=60.0, gt=0)
    """How far behind the log a projection may be before the projector is not ready."""
