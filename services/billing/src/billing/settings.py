"""All that billing reads from the environment."""

import re
from pathlib import Path
from typing import Annotated, Final, Self

from chassis.setting_types import (
    CallerKeys,
    DatabaseUrl,
    NatsUrl,
    Port,
    Proxies,
    WebUrl,
    check_development_key,
    check_strength,
    split_secrets,
)
from language.settings import PresentationSettings
from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

_LIVE_KEYS: Final = ("sk_live_", "rk_live_")
_TEST_KEYS: Final = ("sk_test_", "rk_test_")
_SIGNING: Final = "whsec_"
_ORIGIN: Final = re.compile(r"https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")


def _origins(texts: str) -> str:
    if not all(_ORIGIN.fullmatch(text) for text in texts.split()):
        raise ValueError("must be origins such as https://pay.example.com, with blanks between")
    return texts


class BillingSettings(PresentationSettings):
    """Billing's settings. Without `stripe_api_key`, purchases are off, and everything says so.

    Comma-separated: `gateway_keys` are of the services that may order for an account, `stripe_webhook_secrets` those
    that Stripe signs its deliveries with.
    """

    billing_port: Port = 8002
    database_url: DatabaseUrl
    nats_url: NatsUrl
    catalog: Path = Path("deploy/catalog.toml")
    gateway_keys: CallerKeys = SecretStr("")
    stripe_api_key: SecretStr = SecretStr("")
    stripe_webhook_secrets: SecretStr = SecretStr("")
    stripe_api_base: WebUrl | None = None
    """Where Stripe is, if not where its SDK has it: a stand-in for tests and demonstrations."""
    stripe_seconds: float = Field(default=10.0, gt=0, le=30)
    """How long one request to Stripe may take; it is tried three times, all of which is over before any lease is."""
    checkout_minutes: int = Field(default=60, ge=35, le=23 * 60)
    """How long a Checkout stays payable, from the order's first moment; Stripe takes from 30 minutes to a day."""
    sweep_seconds: float = Field(default=600.0, ge=1, le=3600)
    """How long after an order was last looked at it is looked at anew, as long as it may still be paid."""
    renewal_grace_days: float = Field(default=3.0, ge=0, le=30)
    """How long a subscription whose renewal is not paid gives its plan all the same."""
    subscription_sweep_seconds: float = Field(default=6 * 3600.0, ge=1, le=24 * 3600)
    """How long after a subscription was last looked at it is looked at anew, whatever was heard of it."""
    top_up_sweep_seconds: float = Field(default=600.0, ge=1, le=3600)
    """How long after an account with auto top-up was last looked at it is looked at anew, though it used nothing."""
    top_up_cool_down_seconds: float = Field(default=3600.0, ge=60, le=7 * 24 * 3600)
    """How long after one purchase by auto top-up, whatever came of it, no other one is made."""
    approval_tokens: int = Field(default=5_000_000, ge=0, le=2**53)
    """An order of an operator's that is worth more waits until a second person approves it."""
    webhook_payload_days: int = Field(default=90, ge=1, le=3650)

    trusted_proxies: Proxies = "127.0.0.1"
    """Of whom it is believed, in `X-Forwarded-For`, where a request came from."""
    chat_url: WebUrl | None = None
    """Where people came from, and go back to once they have paid: LibreChat."""
    checkout_origins: Annotated[str, AfterValidator(_origins)] = ""
    """Where Stripe shows the Checkout, if under a domain of the seller's own; with blanks between."""

    @field_validator("stripe_api_key")
    @classmethod
    def _stripe_key(cls, value: SecretStr) -> SecretStr:
        if (key := value.get_secret_value().strip()) and not key.startswith((*_LIVE_KEYS, *_TEST_KEYS)):
            raise ValueError("must be a secret key (sk_…) or a restricted one (rk_…) of Stripe's")
        return value

    @field_validator("stripe_webhook_secrets")
    @classmethod
    def _webhook_secrets(cls, value: SecretStr) -> SecretStr:
        for secret in split_secrets(value):
            if not secret.startswith(_SIGNING) or check_strength(secret.removeprefix(_SIGNING)) is not None:
                raise ValueError(f"must name comma-separated signing secrets, {_SIGNING} and what Stripe put behind it")
        return value

    @model_validator(mode="after")
    def _no_live_key_for_a_stand_in(self) -> Self:
        if self.stripe_api_base is not None and self.livemode:
            raise ValueError("SOLARIS_STRIPE_API_BASE: a live key is for Stripe alone; unset one of the two")
        return self

    @model_validator(mode="after")
    def _development_key_stays_at_home(self) -> Self:
        if (misplaced := check_development_key(self.service_keys, self.host)) is not None:
            raise ValueError(f"SOLARIS_GATEWAY_KEYS: {misplaced}")
        return self

    @property
    def sells(self) -> bool:
        """Purchases are on."""
        return bool(self.stripe_api_key.get_secret_value().strip())

    @property
    def livemode(self) -> bool:
        """Real money."""
        return self.stripe_api_key.get_secret_value().strip().startswith(_LIVE_KEYS)

    @property
    def service_keys(self) -> list[str]:
        return split_secrets(self.gateway_keys)

    @property
    def webhook_secrets(self) -> list[str]:
        return split_secrets(self.stripe_webhook_secrets)

    @property
    def checkout_targets(self) -> tuple[str, ...]:
        """The origins at which people pay."""
        stripe = self.stripe_api_base or "https://checkout.stripe.com"
        return (stripe, *self.checkout_origins.split())

    @property
    def buy_url(self) -> str:
        """The page that sells; an order's own page is `/order/<id>` below it."""
        return self.purchase_url or f"http://127.0.0.1:{self.billing_port}/buy"
