"""How this installation presents itself to people: its name, its links, its clock."""

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from language.choice import Language, choose_language


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """URLs are without a slash at their end; without a `purchase_url` nothing speaks of buying."""

    brand: str
    public_url: str
    purchase_url: str | None
    default_language: Language
    time_zone: ZoneInfo

    def language_of(self, *wishes: str | None) -> Language:
        """The first of a person's wishes that is written here (see `choose_language`), else the default."""
        return choose_language(*wishes, self.default_language)

    def account_purchase_url(self, account_id: str) -> str | None:
        """Where credits are bought for one account; it gives no sign-in, balance or history."""
        if self.purchase_url is None:
            return None
        page = urlsplit(self.purchase_url)
        query = f"{page.query}&account={account_id}" if page.query else f"account={account_id}"
        return urlunsplit(page._replace(query=query))
