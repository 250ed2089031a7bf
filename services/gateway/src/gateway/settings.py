"""Everything that the gateway reads from the environment."""

import hmac
from enum import StrEnum
from typing import Final, Self

from chassis.setting_types import (
    DEVELOPMENT_KEY,
    CallerKeys,
    NatsUrl,
    Proxies,
    WebUrl,
    check_development_key,
    check_strength,
    split_secrets,
)
from contracts.requests import MAX_BODY_LENGTH
from language.settings import PresentationSettings
from pydantic import Field, SecretStr, field_validator, model_validator

from gateway.domain.body_memory import limit_with_room_for, most_memory_of

_DEVELOPMENT_SECRET: Final = "solaris-development-secret"  # noqa: S105  accepted with the development key alone
_MAX_URL_LENGTH: Final = 120


class Enforcement(StrEnum):
    """`enforce`: nothing without a hold; `observe`: meter, never refuse; `off`: pass through, nothing is recorded."""

    ENFORCE = "enforce"
    OBSERVE = "observe"
    OFF = "off"


class LedgerFailure(StrEnum):
    """Without an answer from the ledger, `closed` refuses and `open` forwards and meters later."""

    CLOSED = "closed"
    OPEN = "open"


class UnknownFields(StrEnum):
    """Fields of a body that no list knows: `forward` counts them, `refuse` answers 400."""

    FORWARD = "forward"
    REFUSE = "refuse"


class GatewaySettings(PresentationSettings):
    """`GATEWAY_SECRET` keys pseudonyms and notice marks: the same on every gateway, and never changed."""

    gateway_port: int = Field(default=8000, ge=0, le=65535)
    nats_url: NatsUrl = "nats://127.0.0.1:4222"
    upstream_url: WebUrl = Field(description="set it to the address of LiteLLM or another OpenAI-compatible upstream")
    upstream_api_key: SecretStr = SecretStr("")
    gateway_keys: CallerKeys = Field(description="set it to the keys of those who may call, with commas between")
    gateway_secret: SecretStr = SecretStr("")

    enforcement: Enforcement = Enforcement.ENFORCE
    unknown_fields: UnknownFields = UnknownFields.FORWARD
    ledger_failure: LedgerFailure = LedgerFailure.CLOSED

    shutdown_seconds: float = Field(default=30.0, ge=0, le=3600)
    stop_notice_seconds: float = Field(default=2.0, ge=0, le=60)
    upstream_errors_in_chat: bool = True
    max_body_bytes: int = Field(default=20 * 1024 * 1024, ge=1024)
    request_memory_bytes: int = Field(default=256 * 1024 * 1024, ge=1024)
    body_seconds: float = Field(default=300.0, gt=0)
    body_bytes_per_second: float = Field(default=16 * 1024, gt=0)
    body_patience_seconds: float = Field(default=20.0, gt=0)
    max_open_calls: int = Field(default=2_000, ge=1)
    reserve_deadline_seconds: float = Field(default=3.0, gt=0, le=60)
    reserve_attempt_seconds: float = Field(default=1.0, gt=0, le=60)
    request_seconds: float = Field(default=600.0, gt=0)
    """How long a call may take from its start to its end, and never longer than most of its hold's life."""
    upstream_connect_seconds: float = Field(default=5.0, gt=0, le=60)
    upstream_idle_seconds: float = Field(default=4.0, gt=0)
    silence_seconds: float = Field(default=15.0, gt=0)
    models_cache_seconds: float = Field(default=10.0, ge=0)
    model_info_seconds: float = Field(default=300.0, gt=0)
    journal_keep_seconds: float = Field(default=24 * 3600.0, gt=0)
    log_bodies: bool = False
    """Whether the request log is told how requests and answers begin: what people write, so only where they know."""
    log_body_bytes: int = Field(default=16 * 1024, ge=1, le=MAX_BODY_LENGTH)
    """How much of each, which a call keeps in memory as long as it lasts."""
    trusted_proxies: Proxies = "127.0.0.1"
    journal_keep_bytes: int = Field(default=4 * 1024**3, gt=0)

    @field_validator("upstream_url", "public_url", "purchase_url")
    @classmethod
    def _short_url(cls, value: str) -> str:
        if len(value) > _MAX_URL_LENGTH:
            raise ValueError(f"must have at most {_MAX_URL_LENGTH} characters")
        return value

    @model_validator(mode="after")
    def _safe_together(self) -> Self:
        if (misplaced := check_development_key(self.keys, self.host)) is not None:
            raise ValueError(f"SOLARIS_GATEWAY_KEYS: {misplaced}")
        weakness = check_strength(self.gateway_secret.get_secret_value())
        if weakness is not None and DEVELOPMENT_KEY not in self.keys:
            raise ValueError(f"SOLARIS_GATEWAY_SECRET: {weakness}")
        return self

    @model_validator(mode="after")
    def _room_for_a_body(self) -> Self:
        least = limit_with_room_for(most_memory_of(self.max_body_bytes))
        if self.request_memory_bytes < least:
            raise ValueError(
                f"SOLARIS_REQUEST_MEMORY_BYTES={self.request_memory_bytes}: must be at least {least}, so that a body "
                f"of SOLARIS_MAX_BODY_BYTES={self.max_body_bytes} can be decoded"
            )
        return self

    @property
    def observes(self) -> bool:
        """Calls are never refused nor clamped."""
        return self.enforcement is Enforcement.OBSERVE

    @property
    def forwards_without_ledger(self) -> bool:
        return self.ledger_failure is LedgerFailure.OPEN

    @property
    def keys(self) -> list[str]:
        return split_secrets(self.gateway_keys)

    def key_for(self, purpose: str) -> bytes:
        """A key of its own for each purpose, derived from the secret."""
        secret = self.gateway_secret.get_secret_value() or _DEVELOPMENT_SECRET
        return hmac.digest(secret.encode(), f"solaris gateway {purpose}".encode(), "sha256")
