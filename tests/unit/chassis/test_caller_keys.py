"""Which program calls, by the key that it shows."""

import pytest
from chassis.caller_keys import CallerKeyring, UnknownKeyError


def test_keys_are_accepted_from_both_headers_and_named_by_a_digest() -> None:
    keys = CallerKeyring(["sk-first-key", "sk-second-key"])
    first = keys.authenticate({b"authorization": b"Bearer sk-first-key"})
    assert first == keys.authenticate({b"x-api-key": b"sk-first-key"})
    assert first == keys.authenticate({b"authorization": b"bearer  sk-first-key "})
    assert first != keys.authenticate({b"authorization": b"Bearer sk-second-key"})
    assert "first" not in first


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"authorization": b"Bearer "},
        {b"authorization": b"Basic sk-first-key"},
        {b"x-api-key": b""},
        {b"x-api-key": b"sk-first-ke"},
    ],
)
def test_other_keys_are_refused(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(UnknownKeyError):
        CallerKeyring(["sk-first-key"]).authenticate(headers)
