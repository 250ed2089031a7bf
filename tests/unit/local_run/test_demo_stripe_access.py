"""Who is told of the demo Stripe: billing, where nothing else stands in for it."""

import pytest
from local_run.environments import Environments
from local_run.programs import demo_stripe_program
from local_run.services import SERVICES
from local_run.settings import LocalSettings

from tests.support.local_environments import made_up_environments

DEMO = "http://127.0.0.1:8012"
SECRETS = {
    "gateway": "x",
    "stripe_key": "of-this-folder",
    "stripe_webhook": "of-this-folder",
    "link_keys": "x",
    "checkpoint_key": "5a" * 32,
}
OURS = {"SOLARIS_STRIPE_API_KEY", "SOLARIS_STRIPE_API_BASE", "SOLARIS_STRIPE_WEBHOOK_SECRETS"}


def environments(demo_stripe_url: str | None, **given: str) -> Environments:
    return made_up_environments(SECRETS, given, demo_stripe_url=demo_stripe_url)


def test_billing_is_told_of_the_demo_and_nobody_else_is() -> None:
    told = {service.name: environments(DEMO).of_service(service) for service in SERVICES}
    assert {name for name, given in told.items() if OURS & given.keys()} == {"billing"}
    assert {name: told["billing"][name] for name in OURS} == {
        "SOLARIS_STRIPE_API_KEY": "sk_test_of-this-folder",
        "SOLARIS_STRIPE_API_BASE": DEMO,
        "SOLARIS_STRIPE_WEBHOOK_SECRETS": "whsec_of-this-folder",
    }


def test_the_demo_and_billing_share_key_and_secret() -> None:
    program = demo_stripe_program(environments(DEMO))
    assert program.environment["SOLARIS_STRIPE_API_KEY"] == "sk_test_of-this-folder"
    assert "http://127.0.0.1:8002/billing/webhook/stripe" in program.command


def test_a_key_of_one_s_own_reaches_billing_untouched() -> None:
    (billing,) = (service for service in SERVICES if service.name == "billing")
    given = {"SOLARIS_STRIPE_API_KEY": "sk_test_mine", "SOLARIS_STRIPE_WEBHOOK_SECRETS": "whsec_mine"}
    told = environments(None, **given).of_service(billing)
    assert {name: told[name] for name in OURS & told.keys()} == given


def test_the_demo_can_be_switched_off() -> None:
    assert LocalSettings.load({}).demo_stripe
    assert not LocalSettings.load({"SOLARIS_DEMO_STRIPE": "off"}).demo_stripe


@pytest.mark.parametrize(
    ("demo", "given", "page"),
    [
        (DEMO, {}, "http://127.0.0.1:8002/buy"),
        (None, {"SOLARIS_STRIPE_API_KEY": "sk_test_mine"}, "http://127.0.0.1:8002/buy"),
        (DEMO, {"SOLARIS_PURCHASE_URL": "https://shop.example/buy"}, "https://shop.example/buy"),
        (None, {}, None),
    ],
)
def test_who_links_to_where_credits_are_bought_is_told_of_billing_s_page_where_purchases_are_on(
    demo: str | None, given: dict[str, str], page: str | None
) -> None:
    told = {service.name: environments(demo, **given).of_service(service) for service in SERVICES}
    for service in ("gateway", "notifier", "billing"):
        assert told[service].get("SOLARIS_PURCHASE_URL") == page
    assert "SOLARIS_PURCHASE_URL" not in told["ledger"]
