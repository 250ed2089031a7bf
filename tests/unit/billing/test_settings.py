"""Where people pay: the origins to which a form of ours may lead; how long Stripe may keep us."""

import pytest
from billing.application import subscription_sweep, sweeping, top_up_watch, webhooks
from billing.settings import BillingSettings
from billing.stripe_api.client import longest_call_seconds
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


def test_no_call_to_stripe_outlasts_the_lease_of_whoever_makes_it() -> None:
    longest = BillingSettings.read(RIGHT | {"SOLARIS_STRIPE_SECONDS": "30"}).stripe_seconds
    leases = (each.LEASE.total_seconds() for each in (webhooks, sweeping, subscription_sweep, top_up_watch))
    assert longest_call_seconds(longest) < min(leases)
    with pytest.raises(SettingsError, match="SOLARIS_STRIPE_SECONDS"):
        BillingSettings.read(RIGHT | {"SOLARIS_STRIPE_SECONDS": "31"})
