"""Orders that operators enter: what was paid outside of Stripe, a courtesy, a correction; and who has to approve."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from contracts.errors import InvalidError
from msgspec import json

from billing.domain.offers import Offers

FREE: Final = frozenset({"courtesy", "correction"})
"""Ways of paying in which nobody pays: without an amount such an order costs nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What an operator typed: one of `package_id` and `tokens`; amount and currency None where they follow.

    `paid_by` says how it was paid (`bank_transfer`, `courtesy`, …), `reference` by what the payment is found again.
    """

    account_id: str
    payer_id: str | None = None
    package_id: str | None = None
    tokens: int | None = None
    amount_minor: int | None = None
    currency: str | None = None
    paid_by: str
    reference: str
    reason: str

    @property
    def content_hash(self) -> bytes:
        """The same for a repetition alone, also for one after a price of the catalog changed."""
        return sha256(json.encode(self)).digest()

    def request_key(self, key: str | None) -> str:
        """What makes it one order: the account, and the key that was typed or else the payment's reference."""
        words = ["reference", self.account_id, self.reference] if key is None else ["key", self.account_id, key]
        return f"manual:{sha256(json.encode(words)).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """What an entry gives, and what was paid for it."""

    tokens: int
    amount_minor: int
    currency: str


def price(entry: Entry, offers: Offers) -> Priced:
    """What the entry comes to.

    The price of a package is the catalog's unless an amount is typed. Tokens have no price of their own: what is not
    typed was not paid, and an amount is in the catalog's first currency where no other is typed.

    Raises:
        InvalidError: neither or both of package and tokens, no such package, or no price of it in that currency.
    """
    if (entry.tokens is None) == (entry.package_id is None):
        raise InvalidError("PACKAGE=… or TOKENS=… is needed, and not both")
    if entry.package_id is not None:
        priced = _priced_package(entry, entry.package_id, offers)
    else:
        assert entry.tokens is not None, "one of them is there"
        currency = entry.currency or offers.first_currency
        priced = Priced(tokens=entry.tokens, amount_minor=entry.amount_minor or 0, currency=currency)
    if priced.amount_minor and entry.paid_by == "courtesy":
        raise InvalidError("AMOUNT: nobody pays for a courtesy")
    return priced


def _priced_package(entry: Entry, package_id: str, offers: Offers) -> Priced:
    package = offers.package(package_id)
    if package is None:
        known = ", ".join(sorted(each.id for each in offers.packages)) or "none"
        raise InvalidError(f"PACKAGE: the catalog sells {known}")
    currency = entry.currency or next(iter(package.prices))
    amount_minor = entry.amount_minor
    if amount_minor is None:
        amount_minor = 0 if entry.paid_by in FREE else package.prices.get(currency)
    if amount_minor is None:
        raise InvalidError(f"CURRENCY: {package_id} has no price in {currency}; type AMOUNT=… too")
    return Priced(tokens=package.tokens, amount_minor=amount_minor, currency=currency)


def needs_approval(tokens: int, above: int) -> bool:
    """Whether an order is worth more than one person may give alone."""
    return tokens > above


def check_approver(asked_by: str, approver: str) -> None:
    """Refuse whoever asked.

    Raises:
        InvalidError: whoever entered the order approves it.
    """
    if approver == asked_by:
        raise InvalidError(f"{approver} entered this order: a second person must approve it")
