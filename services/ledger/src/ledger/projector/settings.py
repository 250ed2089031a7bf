"""What the projector reads from the environment."""

from chassis.setting_types import DatabaseUrl, NatsUrl, Port, StrongSecrets, split_secrets
from language.settings import ZoneSettings
from pydantic import Field

from ledger.settings import ReconciliationSettings
from ledger.store.requests.days import Retention


class ProjectorSettings(ZoneSettings, ReconciliationSettings):
    """The full list of the projector's variables, prefix `SOLARIS_`."""

    database_url: DatabaseUrl
    nats_url: NatsUrl = ""
    """Where billing and gateways are heard; without it revenue and request log stand still, and projections go on."""
    projector_port: Port = 8004
    projector_lag_seconds: float = Field(default=60.0, gt=0)
    """How far behind the log a projection may be before the projector is not ready."""
    request_log_days: int = Field(default=90, ge=1, le=3650)
    """For how many days a line of the request log is kept."""
    request_body_days: int = Field(default=7, ge=1, le=3650)
    """For how many days bodies are kept, where gateways tell them."""
    refusal_days: int = Field(default=730, ge=1, le=3650)
    """For how many days it is kept how often an account was refused."""
    litellm_callback_keys: StrongSecrets | None = None
    """Whoever bears one of them is LiteLLM, and may tell of calls; without them nobody may."""

    @property
    def retention(self) -> Retention:
        return Retention(
            log_days=self.request_log_days, body_days=self.request_body_days, refusal_days=self.refusal_days
        )

    @property
    def callback_keys(self) -> list[str]:
        return [] if self.litellm_callback_keys is None else split_secrets(self.litellm_callback_keys)

    @property
    def reconciles(self) -> bool:
        return bool(self.callback_keys) or self.litellm_url is not None
