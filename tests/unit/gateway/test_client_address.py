"""Whose address a request is said to come from."""

import tracemalloc

import pytest
from gateway.domain.client_address import ClientAddresses

TRUSTED = ClientAddresses("127.0.0.1/32,10.0.0.0/8,2001:db8::/32")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.7", b"", "192.0.2.7"),
        ("192.0.2.7", b"198.51.100.1", "192.0.2.7"),  # who is no proxy of ours may write what it likes
        ("10.1.2.3", b"198.51.100.1", "198.51.100.1"),
        ("10.1.2.3", b"6.6.6.6, 198.51.100.1", "198.51.100.1"),  # what came before the last one was not seen by us
        ("127.0.0.1", b"198.51.100.1, 10.9.9.9,10.1.2.3", "198.51.100.1"),
        ("127.0.0.1", b"10.0.0.5", "10.0.0.5"),
        ("127.0.0.1", b"", "127.0.0.1"),
        ("127.0.0.1", b"unknown", "127.0.0.1"),
        ("127.0.0.1", b"unknown, 10.0.0.5", "10.0.0.5"),
        ("127.0.0.1", b"198.51.100.1:4711", "198.51.100.1"),
        ("127.0.0.1", b"[2001:db9::1]:4711", "2001:db9::1"),
        ("2001:db8::7", b"2001:DB9::0:1", "2001:db9::1"),
        ("::ffff:10.1.2.3", b"198.51.100.1", "198.51.100.1"),
        ("fe80::1%eth0", b"", "fe80::1"),
        ("127.0.0.1", b"\xff\x00, ,", "127.0.0.1"),
        ("127.0.0.1", b"1" * 60_000, "127.0.0.1"),
        ("127.0.0.1", b"6.6.6.6," * 10_000 + b"198.51.100.1", "198.51.100.1"),
        ("", b"198.51.100.1", None),
        ("/run/gateway.sock", b"198.51.100.1", None),
    ],
)
def test_the_client_is_the_last_that_is_no_proxy_of_ours(peer: str, forwarded: bytes, address: str | None) -> None:
    assert TRUSTED.of(peer, forwarded) == address


def test_what_is_remembered_of_long_lists_is_little() -> None:
    addresses = ClientAddresses("127.0.0.1/32")
    tracemalloc.start()
    try:
        for number in range(1_000):
            addresses.of(
                "127.0.0.1", b"6.6.6.6," * 4_000 + f"198.51.100.{number % 250},10.0.{number // 250}.1".encode()
            )
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 4 * 1024 * 1024
