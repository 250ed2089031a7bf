"""The key that signs checkpoints is the ledger's and operators' alone; what is to be believed is told beside it."""

from pathlib import Path

import pytest
from ledger.audit.checkpoints.keys import SigningKey
from local_run.addresses import Addresses
from local_run.data_folder import DataFolder
from local_run.environments import Environments
from local_run.ports import WANTED_PORTS
from local_run.services import SERVICES

OWN = "a5" * 32


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, str]:
    """As a new data folder makes them up."""
    return DataFolder(tmp_path).load_secrets()


def _environments(secrets: dict[str, str], **given: str) -> Environments:
    names = [service.name for service in SERVICES]
    addresses = Addresses(
        instance="this-run",
        ports=dict(WANTED_PORTS),
        host="127.0.0.1",
        database_urls=dict.fromkeys(names, "postgresql://"),
        nats_urls=dict.fromkeys(names, "nats://"),
        owner_database_url="",
        operator_database_url="",
        operator_nats_url="",
        upstream_url="http://127.0.0.1:4000",
        smtp_url="smtp://127.0.0.1:1025",
        demo_stripe_url=None,
    )
    return Environments(given=given, data_directory=Path("/data"), addresses=addresses, secrets=secrets)


@pytest.mark.parametrize("given", [{}, {"SOLARIS_CHECKPOINT_KEY": OWN}])
def test_the_ledger_signs_and_operators_are_told_what_to_believe(
    secrets: dict[str, str], given: dict[str, str]
) -> None:
    environments = _environments(secrets, **given)
    key = given.get("SOLARIS_CHECKPOINT_KEY") or secrets["checkpoint_key"]
    told = {service.name: environments.of_service(service) for service in SERVICES}
    assert {name for name, each in told.items() if key in each.values()} == {"ledger"}
    operator = environments.of_operator()
    assert operator["SOLARIS_CHECKPOINT_KEY"] == key
    assert operator["SOLARIS_CHECKPOINT_PUBLIC_KEYS"] == SigningKey(key).public


def test_keys_that_the_caller_believes_stay(secrets: dict[str, str]) -> None:
    others = SigningKey(OWN).public
    told = _environments(secrets, SOLARIS_CHECKPOINT_PUBLIC_KEYS=others).of_operator()
    assert told["SOLARIS_CHECKPOINT_PUBLIC_KEYS"] == others


def test_what_is_made_up_can_be_read_by_nobody_else(secrets: dict[str, str], tmp_path: Path) -> None:
    assert len(secrets["checkpoint_key"]) == 64
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
