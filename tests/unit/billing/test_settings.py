"""Where people pay: the origins to which a form of ours may lead."""

import pytest
from billing.settings import BillingSettings
from chassis.settings import SettingsError

RIGHT = {"SOLARIS_DATABASE_URL": "postgresql://a@b/c", "SOLARIS_NATS_URL": "nats://b"}


def targets(**more: str) -> tuple[str, ...]:
    return BillingSettings.read(RIGHT | {f"SOLARIS_{name}": value for name, value in more.items()}).checkout_targets


def test_people_pay_at_stripe_and_under_the_sellers_own_domain() -> None:
    assert targets() == ("https://checkout.stripe.com",)
    own = "https://pay.example.com https://pay2.example.com:8443"
    assert targets(CHECKOUT_ORIGINS=own) == ("https://checkout.stripe.com", *own.split())
    assert targets(STRIPE_API_BASE="http://127.0.0.1:8012") == ("http://127.0.0.1:8012",)


@pytest.mark.parametrize(
    "origins",
    [
        "pay.example.com",
        "http://pay.example.com",
        "https://",
        "https://pay.example.com/",
        "https://pay.example.com/x",
        "https://pay.example.com; script-src *",
        "https://*",
        "https://pay.example.com,https://evil.example",
        "https://u:p@pay.example.com",
    ],
)
def test_what_is_no_origin_can_not_get_into_the_policy(origins: str) -> None:
    with pytest.raises(SettingsError, match="SOLARIS_CHECKOUT_ORIGINS"):
        targets(CHECKOUT_ORIGINS=origins)
