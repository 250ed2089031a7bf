"""Where a request came from: what somebody is slowed down by who has no more than a link."""

import pytest
from billing.http.callers import address_of
from starlette.requests import Request


@pytest.mark.parametrize(
    ("client", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:198.51.100.9", "198.51.100.9"),
        ("", ""),
        ("a socket", "a socket"),
    ],
)
def test_an_address_of_ipv4_is_one_however_it_is_written_and_of_ipv6_its_network_is(client: str, address: str) -> None:
    assert address_of(Request({"type": "http", "headers": [], "client": (client, 1)})) == address
