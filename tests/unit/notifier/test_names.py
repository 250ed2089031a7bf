"""Who is greeted by name: people of all scripts, and nobody's link, markup or hidden sign."""

import unicodedata

import pytest
from notifier.mail.names import MAX_NAME_LENGTH, first_name


@pytest.mark.parametrize(
    ("name", "greeted"),
    [
        ("Ana Souza", "Ana"),
        ("José", "José"),
        ("Jose\u0301 da Silva", "José"),
        (unicodedata.normalize("NFD", "Thảo Nguyễn"), "Thảo"),
        ("D'Ávila Lima", "D'Ávila"),
        ("O\u2019Neil", "O\u2019Neil"),
        ("Kamehameha\u02bbike", "Kamehameha\u02bbike"),
        ("Ana-Maria", "Ana-Maria"),
        ("Jean\u2011Luc Picard", "Jean\u2011Luc"),
        ("ג'ורג' כהן", "ג'ורג'"),
        ("བསྟན་འཛིན", "བསྟན་འཛིན"),
        ("Gal·la Placídia", "Gal·la"),
        ("محمد علي", "محمد"),
        ("مُحَمَّد", "مُحَمَّد"),
        ("\u0645\u06cc\u200c\u0646\u0627", "\u0645\u06cc\u200c\u0646\u0627"),
        ("आरती शर्मा", "आरती"),
        ("क्‍षितिज", "क्‍षितिज"),
        ("สมชาย ใจดี", "สมชาย"),
        ("נִצָּן", "נִצָּן"),
        ("李小龍", "李小龍"),
        ("山田\u3000太郎", "山田"),
        ("マリア・シルヴァ", "マリア"),
        (unicodedata.normalize("NFD", "김민준"), "김민준"),
        ("Ἀλέξανδρος", "Ἀλέξανδρος"),
        ("Анна", "Анна"),
        ("Ana🌸", "Ana"),
        ("🦊 Ana", "Ana"),
        ("👩🏽\u200d🚀 Zoë", "Zoë"),
        ("Ana ❤️", "Ana"),
        ("Ana\r\nBcc: x@example.com", "Ana"),
    ],
)
def test_a_first_name_of_any_script_is_greeted(name: str, greeted: str) -> None:
    assert first_name(name) == unicodedata.normalize("NFC", greeted)


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "   ",
        "🌸",
        "1337",
        "Ana2",
        "https://evil.example",
        "evil.example",
        "evil\u3002example",
        "evil\uff0eexample",
        "evil\u2024example",
        "evil·example",
        "//evil",
        "ana@evil.example",
        "<b>Ana</b>",
        "&#65;na",
        "{{brand}}",
        "\u202eanA",
        "Ana\u202e",
        "A\u2066na",
        "Ana\u200bSouza",
        "A\u00adna",
        "\u0301Ana",
        "Ana-",
        "'Ana",
        "A''na",
        "Z" + "\u0336" * 5 + "oe",
        "x" * (MAX_NAME_LENGTH + 1),
    ],
)
def test_what_is_not_plainly_a_name_is_not_greeted(name: str | None) -> None:
    assert first_name(name) is None
