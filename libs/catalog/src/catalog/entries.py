"""What the catalog file may say, entry by entry."""

from decimal import Decimal
from typing import Annotated, Final, Literal, Self

from contracts.limits import MAX_INTEGER
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

MAX_NAME_LENGTH: Final = 64
MAX_AMOUNT_MINOR: Final = 99_999_999
"""Stripe takes no amount of more than eight digits."""
_STEPS: Final = {"bhd": 10, "jod": 10, "kwd": 10, "omr": 10, "tnd": 10, "isk": 100, "ugx": 100}
"""Of these currencies Stripe takes multiples of so many smallest units alone (docs.stripe.com/currencies)."""


def _is_a_line(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("must be printable, without blanks at its ends")
    return text


EntryName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH), AfterValidator(_is_a_line)]
"""A plan's or package's own name, by which orders and accounts know it."""
Language = Literal["pt", "en"]
CurrencyCode = Annotated[str, Field(pattern=r"^[a-z]{3}$")]
AmountMinor = Annotated[int, Field(strict=True, ge=1, le=MAX_AMOUNT_MINOR)]
StripePrice = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,255}$")]
Weight = Annotated[int, Field(ge=0, le=1_000_000_000)]
MillionTokensPrice = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=6)]
Percent = Annotated[int, Field(ge=1, le=100)]
PositiveInteger = Annotated[int, Field(ge=1, le=MAX_INTEGER)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Offer(_Entry):
    """What can be sold: `prices` by currency in its smallest unit, none where it is not sold.

    `stripe_prices` name prices that were set up at Stripe, `names` what people read instead of the entry's own name.
    """

    prices: dict[CurrencyCode, AmountMinor] = {}
    stripe_prices: dict[CurrencyCode, StripePrice] = {}
    names: dict[Language, EntryName] = {}

    @model_validator(mode="after")
    def _prices_can_be_paid(self) -> Self:
        for currency, amount in self.prices.items():
            if amount % (step := _STEPS.get(currency, 1)):
                raise ValueError(f"the price in {currency} is no multiple of {step}: Stripe takes no other")
        return self

    @model_validator(mode="after")
    def _stripe_prices_have_ours_beside_them(self) -> Self:
        for currency in self.stripe_prices:
            if currency not in self.prices:
                raise ValueError(f"a Stripe price in {currency} needs a price in {currency} beside it")
        return self


class PlanEntry(_Offer):
    """A plan; `models` are glob patterns of the models that it may use."""

    monthly_tokens: Annotated[int, Field(ge=0, le=MAX_INTEGER)]
    requests_per_minute: PositiveInteger | None = None
    tokens_per_minute: PositiveInteger | None = None
    models: tuple[str, ...] = ("*",)


class PackageEntry(_Offer):
    """Credits that are bought at once."""

    tokens: PositiveInteger

    @model_validator(mode="before")
    @classmethod
    def _one_price_of_before(cls, raw: object) -> object:
        """Read `amount_minor` and `currency`, as packages had them before prices had currencies."""
        if not isinstance(raw, dict) or not raw.keys() & {"amount_minor", "currency"}:
            return raw
        entry = dict(raw)
        amount, currency = entry.pop("amount_minor", None), entry.pop("currency", None)
        if amount is None or not isinstance(currency, str):
            raise ValueError("amount_minor and currency belong together; better write prices = { brl = 7_490 }")
        if "prices" in entry:
            raise ValueError("has prices, and amount_minor with currency too: one of them is enough")
        return {**entry, "prices": {} if amount == 0 and type(amount) is int else {currency: amount}}


class Weights(_Entry):
    """Billable tokens per million provider tokens; a class that is None weighs what the prompt does."""

    prompt: Weight = 1_000_000
    cached_prompt: Weight | None = None
    cache_write: Weight | None = None
    completion: Weight = 1_000_000


class ModelPrices(_Entry):
    """USD per million provider tokens, for the cost figures; a class that is None costs what the prompt does."""

    prompt: MillionTokensPrice = Decimal(0)
    cached_prompt: MillionTokensPrice | None = None
    cache_write: MillionTokensPrice | None = None
    completion: MillionTokensPrice = Decimal(0)


class ModelEntry(_Entry):
    """Rates of the models that the entry's name, a glob pattern, names."""

    weights: Weights = Weights()
    price: ModelPrices = ModelPrices()
    max_output_tokens: PositiveInteger | None = None


class CatalogFile(_Entry):
    """One validated version of the file; `version` is the file's own and a digest of its bytes."""

    version: Annotated[str, Field(min_length=1, max_length=32)]
    thresholds: tuple[Percent, ...] = (80, 90, 95, 100)
    plans: Annotated[dict[EntryName, PlanEntry], Field(min_length=1)]
    packages: dict[EntryName, PackageEntry] = {}
    models: dict[str, ModelEntry] = {}
