"""How an installation presents itself, as its settings say."""

from zoneinfo import ZoneInfo

import pytest
from chassis.settings import SettingsError
from language.choice import Language
from language.presentation import Presentation
from language.settings import PresentationSettings

NEW_KEY = "a-key-that-signs-from-now-on"
OLD_KEY = "a-key-that-signed-until-now"


def presentation(**variables: str) -> Presentation:
    return PresentationSettings.read({f"SOLARIS_{name}": value for name, value in variables.items()}).presentation


def test_where_no_link_can_be_signed_nothing_speaks_of_buying() -> None:
    assert presentation(PURCHASE_URL="https://shop.example/buy").purchase_url is None


def test_the_first_key_signs_and_all_are_believed() -> None:
    settings = PresentationSettings.read({"SOLARIS_LINK_KEYS": f" {NEW_KEY} ,{OLD_KEY},"})
    assert settings.link_key_bytes == (NEW_KEY.encode(), OLD_KEY.encode())
    assert PresentationSettings.read({}).link_key_bytes == ()


@pytest.mark.parametrize(
    "keys", ["short", f"{OLD_KEY},short", "aaaaaaaaaaaaaaaaaaaaaaaa", " , ", ",".join([OLD_KEY] * 9)]
)
def test_keys_that_somebody_guesses_are_refused_and_not_told(keys: str) -> None:
    with pytest.raises(SettingsError, match="SOLARIS_LINK_KEYS") as error:
        PresentationSettings.read({"SOLARIS_LINK_KEYS": keys})
    assert keys not in str(error.value)
    assert OLD_KEY not in str(error.value)


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
        LINK_KEYS=NEW_KEY,
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
