"""Reads and validates the catalog file; its digest is part of the version, so an edit can't pass as the old one."""

import tomllib
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from chassis.setting_types import did_you_mean
from chassis.settings import SettingsError
from contracts.events.accounts import RateLimits
from contracts.events.rates import Rates
from contracts.limits import MAX_INTEGER
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ledger.domain.catalog import Catalog, Model, Plan
from ledger.domain.policy import Policy
from ledger.settings import LedgerSettings

Weight = Annotated[int, Field(ge=0, le=1_000_000_000)]
Price = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=6)]
Percent = Annotated[int, Field(ge=1, le=100)]
MICROS = 1_000_000


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Weights(_Entry):
    prompt: Weight = 1_000_000
    cached_prompt: Weight | None = None
    cache_write: Weight | None = None
    completion: Weight = 1_000_000


class _Prices(_Entry):
    prompt: Price = Decimal(0)
    cached_prompt: Price | None = None
    cache_write: Price | None = None
    completion: Price = Decimal(0)


class _Plan(_Entry):
    monthly_tokens: Annotated[int, Field(ge=0, le=MAX_INTEGER)]
    requests_per_minute: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None = None
    models: tuple[str, ...] = ("*",)


class _Package(_Entry):
    tokens: Annotated[int, Field(ge=1, le=MAX_INTEGER)]
    amount_minor: Annotated[int, Field(ge=0)]
    currency: Annotated[str, Field(pattern=r"^[a-z]{3}$")]


class _Model(_Entry):
    weights: _Weights = _Weights()
    price: _Prices = _Prices()
    max_output_tokens: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None = None

    def rates(self) -> Rates:
        weights, price = self.weights, self.price
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


class _CatalogFile(_Entry):
    version: Annotated[str, Field(min_length=1, max_length=32)]
    thresholds: tuple[Percent, ...] = (80, 90, 95, 100)
    plans: Annotated[dict[str, _Plan], Field(min_length=1)]
    packages: dict[str, _Package] = {}
    models: dict[str, _Model] = {}


class CatalogError(SettingsError):
    """The catalog that the settings name can't be used; the message says where and why in one line."""


def load_catalog(path: Path) -> Catalog:
    """Read one version of the catalog.

    Raises:
        CatalogError: the file is missing, not TOML, or breaks a rule.
    """
    try:
        content = path.read_bytes()
        parsed = _CatalogFile.model_validate(tomllib.loads(content.decode()))
    except OSError as error:
        raise CatalogError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "catalog"
        raise CatalogError(f"{path}: {where}: {first['msg']}") from error
    return Catalog(
        version=f"{parsed.version}+{sha256(content).hexdigest()[:8]}",
        thresholds=tuple(sorted(set(parsed.thresholds))),
        plans={
            name: Plan(
                name=name,
                monthly_tokens=plan.monthly_tokens,
                rate_limits=RateLimits(
                    requests_per_minute=plan.requests_per_minute, tokens_per_minute=plan.tokens_per_minute
                ),
                models=plan.models,
            )
            for name, plan in parsed.plans.items()
        },
        models=tuple(
            Model(pattern=pattern, rates=model.rates(), max_output_tokens=model.max_output_tokens)
            for pattern, model in parsed.models.items()
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


def _either[Value](value: Value | None, otherwise: Value) -> Value:
    return otherwise if value is None else value
