"""The catalog file: what it may say of a plan is what events can tell of it."""

from pathlib import Path

import pytest
from catalog import CatalogError
from contracts.events.accounts import RateLimitsChanged
from contracts.limits import MAX_INTEGER
from ledger.catalog_file import load_catalog

from tests.unit.ledger.round_trip import assert_survives_json


def catalog_with(folder: Path, limit: str, per_minute: int) -> Path:
    path = folder / "catalog.toml"
    path.write_text(f'version = "1"\n[plans.basic]\nmonthly_tokens = 1000\n{limit} = {per_minute}\n')
    return path


@pytest.mark.parametrize("limit", ["requests_per_minute", "tokens_per_minute"])
@pytest.mark.parametrize("per_minute", [1, MAX_INTEGER])
def test_a_rate_limit_of_the_catalog_can_be_told(tmp_path: Path, limit: str, per_minute: int) -> None:
    rate_limits = load_catalog(catalog_with(tmp_path, limit, per_minute)).plans["basic"].rate_limits
    assert getattr(rate_limits, limit) == per_minute
    assert_survives_json(RateLimitsChanged(rate_limits=rate_limits))


@pytest.mark.parametrize("limit", ["requests_per_minute", "tokens_per_minute"])
@pytest.mark.parametrize("per_minute", [0, MAX_INTEGER + 1])
def test_one_that_could_not_be_told_is_refused(tmp_path: Path, limit: str, per_minute: int) -> None:
    with pytest.raises(CatalogError, match=limit):
        load_catalog(catalog_with(tmp_path, limit, per_minute))
