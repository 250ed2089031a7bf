"""How many connections this process may have: the system's limit, raised, and shared out."""

import resource
from dataclasses import dataclass
from typing import Final

RESERVED: Final = 64
"""For the journal, NATS, the listening socket, libraries, and health."""
WANTED: Final = 65_536


@dataclass(frozen=True, slots=True)
class Shares:
    """`calls` open at once, each with a connection to the upstream; `connections` of clients, idle ones included."""

    calls: int
    connections: int


def raise_limit() -> int:
    """Raise the soft limit of descriptors as far as this process may; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return WANTED if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def share_out(descriptors: int, wanted_calls: int) -> Shares:
    """A call takes two descriptors; what calls don't need is for connections that wait."""
    usable = max(2, descriptors - RESERVED)
    calls = max(1, min(wanted_calls, usable // 2))
    return Shares(calls=calls, connections=usable - calls)
