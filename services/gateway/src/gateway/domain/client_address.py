"""From which address a request came, as far as those before the gateway are believed."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

_READ_BYTES: Final = 1_024
"""Of a list of addresses, from its end: what stands before was written by whoever wanted to be believed."""
_REMEMBERED: Final = 1_024


class ClientAddresses:
    """Believes `X-Forwarded-For` of `trusted_proxies` alone (addresses and networks, with commas between).

    Each proxy adds at the list's end who called it, so the client is the last in it that is no proxy of ours.
    """

    def __init__(self, trusted_proxies: str) -> None:
        self._trusted = [ip_network(text) for text in trusted_proxies.split(",")]
        # A hundred times cheaper than to read the texts anew, and nearly all calls come from a few addresses.
        self._remembered = lru_cache(_REMEMBERED)(self._of)

    def of(self, peer: str, forwarded: bytes) -> str | None:
        """The client's address by the connection's peer and the header; None where the peer has none."""
        return self._remembered(peer, forwarded[-_READ_BYTES:])

    def _of(self, peer: str, forwarded: bytes) -> str | None:
        if (address := _address(peer)) is None:
            return None
        for text in reversed(forwarded.decode("latin-1").split(",")):
            if not self._is_trusted(address) or (before := _address(text.strip())) is None:
                break
            address = before
        return str(address)

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._trusted)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address with or without a port; None for anything else."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))  # without the zone of a machine's own
    return address
