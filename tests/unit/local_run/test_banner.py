"""What is shown when the run is ready: the call that the README explains, and the servers that are really used."""

from pathlib import Path

from chassis.setting_types import DEVELOPMENT_KEY
from local_run.addresses import Addresses
from local_run.banner import banner, first_call
from local_run.ports import WANTED_PORTS
from local_run.settings import LocalSettings

README = Path(__file__).parents[3] / "README.md"


def test_the_call_that_is_shown_is_the_readme_s() -> None:
    lines = (line for line in README.read_text().splitlines() if line.startswith("curl "))
    shown = first_call("http://127.0.0.1:8000", DEVELOPMENT_KEY)
    assert shown.replace('"Authorization: Bearer sk-solaris-dev"', "'Authorization: Bearer sk-solaris-dev'") == next(
        lines
    )


def shown(demo_stripe_url: str | None = None, **environment: str) -> dict[str, str]:
    """The table's addresses by their names."""
    addresses = Addresses(
        instance="",
        host="127.0.0.1",
        ports=dict(WANTED_PORTS),
        database_urls={},
        nats_urls={},
        owner_database_url="",
        operator_database_url="",
        operator_nats_url="",
        upstream_url="http://127.0.0.1:4000",
        smtp_url="",
        demo_stripe_url=demo_stripe_url,
    )
    table = banner(LocalSettings.load(environment), addresses, "/data").splitlines()
    return {line.split()[0]: " ".join(line.split()[1:]) for line in table if line.strip()}


def test_servers_of_others_are_shown_in_place_of_our_own_without_their_passwords() -> None:
    own = shown()
    assert own["postgres"].startswith("127.0.0.1:")
    others = shown(
        SOLARIS_DATABASE_URL="postgresql://solaris:s3cret@db.example:5432/solaris",
        SOLARIS_NATS_URL="nats://solaris:s3cret@one.example:4222,nats://solaris:s3cret@two.example:4222",
    )
    assert others["postgres"].startswith("db.example:5432 ")
    assert others["nats"].startswith("one.example:4222, two.example:4222 ")
    assert "s3cret" not in str(others)


def test_a_demo_is_told_from_a_real_stripe_and_from_none() -> None:
    demo = "http://127.0.0.1:8012"
    assert shown(demo)["stripe"] == f"{demo}/demo a demo: no real money"
    assert shown()["stripe"] == "none purchases are off"
    real = shown(SOLARIS_STRIPE_API_KEY="sk_live_hidden")
    assert real["stripe"] == "api.stripe.com with your SOLARIS_STRIPE_API_KEY"
    assert "hidden" not in str(real)
