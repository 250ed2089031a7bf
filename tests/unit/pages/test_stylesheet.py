"""Tabler as the wheel brings it: what pages build on is there, and dark without a script."""

import re

import pytest
from pages.stylesheet import StylesheetError, dark_by_preference, tabler


def test_it_loads_nothing_from_elsewhere() -> None:
    addresses = re.findall(r"url\(([^)]{0,12})", tabler())
    assert addresses
    assert all(address.strip("\"'").startswith("data:") for address in addresses)
    assert "@import" not in tabler()


def test_it_has_what_pages_are_built_of() -> None:
    for selector in (
        ".card{",
        ".card-body{",
        ".btn{",
        ".btn-primary{",
        ".btn-outline-primary",
        ".btn-group",
        ".form-control{",
    ):
        assert selector in tabler()


def test_dark_by_preference_says_what_dark_by_attribute_says() -> None:
    dark = dark_by_preference(tabler())
    assert dark.startswith("@media (prefers-color-scheme:dark){:root:not([data-bs-theme]){color-scheme:dark;")
    assert dark.count("{") == dark.count("}")
    assert "data-bs-theme=" not in dark
    assert "--tblr-body-bg:#" in dark


def test_of_a_list_of_selectors_those_that_say_dark_are_taken() -> None:
    text = "a{b:c}[data-bs-theme=dark] .x,body[data-bs-theme=dark] .x{d:e}.y[data-bs-theme=dark]{f:g}"
    assert dark_by_preference(text) == "@media (prefers-color-scheme:dark){:root:not([data-bs-theme]) .x{d:e}}"


def test_a_stylesheet_that_knows_no_dark_is_refused() -> None:
    with pytest.raises(StylesheetError):
        dark_by_preference("a{b:c}")
