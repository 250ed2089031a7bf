"""Makes the ledger's catalog and policy of the catalog file."""

from datetime import timedelta
from pathlib import Path

from catalog import CatalogError, ModelEntry, PlanEntry, read_catalog
from chassis.setting_types import did_you_mean
from contracts.events.accounts import RateLimits
from contracts.events.rates import Rates

from ledger.domain.catalog import Catalog, Model, Plan
from ledger.domain.policy import Policy
from ledger.settings import LedgerSettings

MICROS = 1_000_000


def load_catalog(path: Path) -> Catalog:
    """Read one version of the catalog.

    Raises:
        CatalogError: the file is missing, not TOML, or breaks a rule.
    """
    file = read_catalog(path)
    return Catalog(
        version=file.version,
        thresholds=tuple(sorted(set(file.thresholds))),
        plans={name: _plan(name, entry) for name, entry in file.plans.items()},
        models=tuple(
            Model(pattern=pattern, rates=_rates(entry), max_output_tokens=entry.max_output_tokens)
            for pattern, entry in file.models.items()
        ),
    )


def load_policy(settings: LedgerSettings) -> Policy:
    """The policy that the settings and the catalog make.

    Raises:
        CatalogError: the catalog can't be used, or lacks the default plan.
    """
    try:
        catalog = load_catalog(settings.catalog)
    except CatalogError as error:
        raise CatalogError(f"SOLARIS_CATALOG={error}") from error
    if settings.default_plan not in catalog.plans:
        plans = sorted(catalog.plans)
        hint = did_you_mean(settings.default_plan, plans)
        raise CatalogError(
            f"SOLARIS_DEFAULT_PLAN={settings.default_plan}: must be one of {', '.join(plans)}, "
            f"the plans of {settings.catalog}{hint}"
        )
    return Policy(
        catalog=catalog,
        default_plan=settings.default_plan,
        time_zone=settings.time_zone,
        hold_ttl=timedelta(seconds=settings.hold_ttl_seconds),
        minimum_output_tokens=settings.min_output_tokens,
        default_output_tokens=settings.default_output_tokens,
        max_open_holds=settings.max_open_holds,
    )


def _plan(name: str, entry: PlanEntry) -> Plan:
    return Plan(
        name=name,
        monthly_tokens=entry.monthly_tokens,
        rate_limits=RateLimits(
            requests_per_minute=entry.requests_per_minute, tokens_per_minute=entry.tokens_per_minute
        ),
        models=entry.models,
    )


def _rates(entry: ModelEntry) -> Rates:
    weights, price = entry.weights, entry.price
    return Rates(
        prompt_weight_millionths=weights.prompt,
        cached_prompt_weight_millionths=_either(weights.cached_prompt, weights.prompt),
        cache_write_weight_millionths=_either(weights.cache_write, weights.prompt),
        completion_weight_millionths=weights.completion,
        prompt_price_micros=int(price.prompt * MICROS),
        cached_prompt_price_micros=int(_either(price.cached_prompt, price.prompt) * MICROS),
        cache_write_price_micros=int(_either(price.cache_write, price.prompt) * MICROS),
        completion_price_micros=int(price.completion * MICROS),
    )


def _either[Value](value: Value | None, otherwise: Value) -> Value:
    return otherwise if value is None else value
