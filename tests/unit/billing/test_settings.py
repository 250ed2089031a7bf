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


def _proxies(**more: str) -> str:
    return BillingSettings.read(RIGHT | {f"SOLARIS_{name}": value for name, value in more.items()}).trusted_proxies


def test_proxies_are_trusted_by_address_and_by_network() -> None:
    assert _proxies() == "127.0.0.1"
    assert (
        _proxies(TRUSTED_PROXIES="10.0.0.7, 172.16.0.0/12,2001:db8::/32") == "10.0.0.7/32,172.16.0.0/12,2001:db8::/32"
    )


@pytest.mark.parametrize("proxies", ["*", "0.0.0.0/0", "10.0.0.7,::/0", "nginx", "10.0.0.7:8080", "10.0.0.7/8", ","])
def test_what_is_no_proxy_and_what_is_everybody_is_refused(proxies: str) -> None:
    with pytest.raises(SettingsError, match="SOLARIS_TRUSTED_PROXIES"):
        _proxies(TRUSTED_PROXIES=proxies)
