"""Whose wish decides in which language a person is told something."""

import pytest
from language.choice import Language, choose_language


@pytest.mark.parametrize(
    ("locale", "accepted", "default", "language"),
    [
        ("en", "pt-BR", "pt-BR", Language.ENGLISH),
        (None, "en-US,en;q=0.9", "pt-BR", Language.ENGLISH),
        (None, "fr, en;q=0.5", "pt-BR", Language.ENGLISH),
        (None, "*", "pt-BR", Language.PORTUGUESE),
        (None, "", "en", Language.ENGLISH),
        ("de", None, "fr", Language.PORTUGUESE),
        ("pt-PT", "en", "en", Language.PORTUGUESE),
    ],
)
def test_language_is_the_persons_then_the_clients_then_the_default(
    locale: str | None, accepted: str | None, default: str, language: Language
) -> None:
    assert choose_language(locale, accepted, default) is language


@pytest.mark.parametrize(
    ("locale", "default", "language"),
    [
        ("pt-BR", "en", Language.PORTUGUESE),
        ("pt_PT", "en", Language.PORTUGUESE),
        ("en-GB", "pt-BR", Language.ENGLISH),
        ("fr", "en", Language.ENGLISH),
        (None, "en", Language.ENGLISH),
        ("", "xx", Language.PORTUGUESE),
        ("\r\n", "pt-BR", Language.PORTUGUESE),
    ],
)
def test_language_is_the_person_s_where_we_write_it(locale: str | None, default: str, language: Language) -> None:
    assert choose_language(locale, default) is language


@pytest.mark.parametrize("tag", ["enm", "eng-land", "english", "ptarmigan"])
def test_a_tag_that_only_begins_like_a_language_is_none_that_we_write(tag: str) -> None:
    assert choose_language(tag, Language.PORTUGUESE) is Language.PORTUGUESE
    assert choose_language(tag, Language.ENGLISH) is Language.ENGLISH
