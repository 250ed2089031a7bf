"""The key that signs checkpoints is the ledger's and operators' alone; what is to be believed is told beside it."""

from pathlib import Path

import pytest
from ledger.audit.checkpoints.keys import SigningKey
from local_run.data_folder import DataFolder
from local_run.services import SERVICES

from tests.support.local_environments import made_up_environments

OWN = "a5" * 32


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, str]:
    """As a new data folder makes them up."""
    return DataFolder(tmp_path).load_secrets()


@pytest.mark.parametrize("given", [{}, {"SOLARIS_CHECKPOINT_KEY": OWN}])
def test_the_ledger_signs_and_operators_are_told_what_to_believe(
    secrets: dict[str, str], given: dict[str, str]
) -> None:
    environments = made_up_environments(secrets, given)
    key = given.get("SOLARIS_CHECKPOINT_KEY") or secrets["checkpoint_key"]
    told = {service.name: environments.of_service(service) for service in SERVICES}
    assert {name for name, each in told.items() if key in each.values()} == {"ledger"}
    operator = environments.of_operator()
    assert operator["SOLARIS_CHECKPOINT_KEY"] == key
    assert operator["SOLARIS_CHECKPOINT_PUBLIC_KEYS"] == SigningKey(key).public


def test_keys_that_the_caller_believes_stay(secrets: dict[str, str]) -> None:
    others = SigningKey(OWN).public
    told = made_up_environments(secrets, {"SOLARIS_CHECKPOINT_PUBLIC_KEYS": others}).of_operator()
    assert told["SOLARIS_CHECKPOINT_PUBLIC_KEYS"] == others


def test_what_is_made_up_can_be_read_by_nobody_else(secrets: dict[str, str], tmp_path: Path) -> None:
    assert len(secrets["checkpoint_key"]) == 64
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
