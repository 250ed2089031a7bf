"""The settings that texts need, and the time zone in which days begin and are written."""

import re
from typing import Annotated, Final
from zoneinfo import ZoneInfo, available_timezones

from chassis.setting_types import StrongSecrets, WebUrl, did_you_mean, split_secrets
from chassis.settings import PREFIX, ServiceSettings
from pydantic import AfterValidator, Field

from language.choice import choose_language
from language.presentation import Presentation

_LOCALE: Final = re.compile(r"(pt|en)([-_][A-Za-z]{2})?", re.IGNORECASE)


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        hint = did_you_mean(name, sorted(available_timezones()))
        raise ValueError(f"is not a time zone; use a name such as America/Sao_Paulo{hint}") from None
    return name


def _locale(tag: str) -> str:
    if not _LOCALE.fullmatch(tag):
        raise ValueError("is not a language that is spoken here; use pt-BR or en")
    return tag


def _buy_page(url: str) -> str:
    if not url.endswith("/buy"):
        raise ValueError("must end in /buy, as billing's page does: https://solaris.example.com/buy")
    return url


def _brand(brand: str) -> str:
    if not brand.strip() or len(brand) > 60 or not brand.isprintable():
        raise ValueError("must be 1 to 60 printable characters")
    return brand.strip()


class ZoneSettings(ServiceSettings):
    """Of a service to which it matters when a day begins."""

    time_zone: Annotated[str, AfterValidator(_time_zone)] = Field(
        default="America/Sao_Paulo", validation_alias=f"{PREFIX}TIMEZONE"
    )


class PresentationSettings(ZoneSettings):
    """Of a service that tells people something."""

    locale: Annotated[str, AfterValidator(_locale)] = "pt-BR"
    brand: Annotated[str, AfterValidator(_brand)] = "IA SOLARIS"
    public_url: WebUrl = "http://127.0.0.1:8080"
    purchase_url: Annotated[WebUrl, AfterValidator(_buy_page)] | None = None
    """Billing's page where credits are bought, as browsers reach it; without it no text speaks of buying."""
    link_keys: StrongSecrets | None = None
    """Links to it are signed with the first, and believed with any; without one nothing links there."""

    @property
    def link_key_bytes(self) -> tuple[bytes, ...]:
        """What signs, then what is still believed."""
        return tuple(key.encode() for key in split_secrets(self.link_keys)) if self.link_keys else ()

    @property
    def presentation(self) -> Presentation:
        return Presentation(
            brand=self.brand,
            public_url=self.public_url,
            purchase_url=self.purchase_url if self.link_keys else None,
            default_language=choose_language(self.locale),
            time_zone=ZoneInfo(self.time_zone),
        )
