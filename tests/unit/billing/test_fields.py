"""What a field of the API takes before anybody acts on it."""

import pytest
from billing.http.fields import ReturnUrl
from pydantic import TypeAdapter, ValidationError

_RETURN_URL = TypeAdapter[str | None](ReturnUrl)


def test_people_come_back_to_an_address_of_the_web() -> None:
    assert _RETURN_URL.validate_python("https://chat.example/c/1?x=%C3%A9#y") == "https://chat.example/c/1?x=%C3%A9#y"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "//a",
        "https://",
        "http://a\x00",
        "http://a\r\nb",
        "http://a b",
        "http://a\x7f",
        "http://\ud800",
    ],
)
def test_nobody_is_sent_back_to_what_stripe_can_not_read(url: str) -> None:
    with pytest.raises(ValidationError):
        _RETURN_URL.validate_python(url)
