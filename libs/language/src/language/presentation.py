"""How this installation presents itself to people: its name, its links, its clock."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from language.choice import Language, choose_language


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """URLs are without a slash at their end; without a `purchase_url` nothing speaks of buying.

    Whoever writes to a person has made a link for that person's account of it.
    """

    brand: str
    public_url: str
    purchase_url: str | None
    default_language: Language
    time_zone: ZoneInfo

    def language_of(self, *wishes: str | None) -> Language:
        """The first of a person's wishes that is written here (see `choose_language`), else the default."""
        return choose_language(*wishes, self.default_language)
