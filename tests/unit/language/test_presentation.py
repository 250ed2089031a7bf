"""How an installation presents itself, as its settings say."""

from zoneinfo import ZoneInfo

import pytest
from language.choice import Language
from language.presentation import Presentation
from language.settings import PresentationSettings


def presentation(**variables: str) -> Presentation:
    return PresentationSettings.read({f"SOLARIS_{name}": value for name, value in variables.items()}).presentation


def test_the_account_joins_the_purchase_pages_own_parameters() -> None:
    style = presentation(PURCHASE_URL="https://shop.example/tokens?from=chat#top")
    assert style.account_purchase_url("ana") == "https://shop.example/tokens?from=chat&account=ana#top"


def test_without_a_purchase_page_there_is_none_for_an_account() -> None:
    assert presentation().account_purchase_url("ana") is None


def test_what_is_not_set_is_brazilian() -> None:
    assert presentation() == Presentation(
        brand="IA SOLARIS",
        public_url="http://127.0.0.1:8080",
        purchase_url=None,
        default_language=Language.PORTUGUESE,
        time_zone=ZoneInfo("America/Sao_Paulo"),
    )


def test_what_is_set_is_taken() -> None:
    assert presentation(
        BRAND=" Chat ",
        PUBLIC_URL="https://chat.example/",
        PURCHASE_URL="https://chat.example/buy/",
        LOCALE="en_GB",
        TIMEZONE="Europe/Lisbon",
    ) == Presentation(
        brand="Chat",
        public_url="https://chat.example",
        purchase_url="https://chat.example/buy",
        default_language=Language.ENGLISH,
        time_zone=ZoneInfo("Europe/Lisbon"),
    )


@pytest.mark.parametrize("language", list(Language))
def test_whoever_wishes_for_nothing_that_is_written_here_reads_the_installations_language(language: Language) -> None:
    assert presentation(LOCALE=language).language_of(None, "fr, *;q=0.1") is language
    assert presentation(LOCALE=language).language_of(None, "fr, en;q=0.1") is Language.ENGLISH
