"""Plans, models and packages, as one version of the catalog names them."""

from fnmatch import fnmatchcase
from functools import lru_cache

from contracts.events.accounts import RateLimits
from contracts.events.rates import Rates
from msgspec import Struct

from ledger.domain.windows import Cap


class Plan(Struct, frozen=True, kw_only=True):
    """`models` are glob patterns of the models that the plan may use, `caps` its budget windows beside the month."""

    name: str
    monthly_tokens: int
    rate_limits: RateLimits = RateLimits()
    models: tuple[str, ...] = ("*",)
    caps: tuple[Cap, ...] = ()

    def allows(self, model: str) -> bool:
        return "*" in self.models or any(fnmatchcase(model, pattern) for pattern in self.models)


class Model(Struct, frozen=True, kw_only=True):
    """Rates of the models that `pattern` names; `max_output_tokens` None where the catalog does not know it."""

    pattern: str
    rates: Rates = Rates()
    max_output_tokens: int | None = None


class Catalog(Struct, frozen=True, kw_only=True):
    """One validated version; a later edit makes another version and never changes the past."""

    version: str
    plans: dict[str, Plan]
    models: tuple[Model, ...]
    thresholds: tuple[int, ...] = (80, 90, 95, 100)

    def __hash__(self) -> int:
        return hash(self.version)

    def model(self, name: str) -> Model:
        """The entry of a model: the exact name, else the longest matching pattern, else weight one and no price."""
        return _find_model(self, name)


UNLISTED_MODEL = Model(pattern="*")


@lru_cache(maxsize=1024)
def _find_model(catalog: Catalog, name: str) -> Model:
    matching = [model for model in catalog.models if model.pattern == name or fnmatchcase(name, model.pattern)]
    return max(matching, key=lambda model: (model.pattern == name, len(model.pattern)), default=UNLISTED_MODEL)
