"""Chooses TCP ports once, keeps them for later runs, and holds them while the stack runs."""

import secrets
import socket
import sys
from collections.abc import Collection, Mapping
from typing import Final, Self

from local_run.services import PARTS

LOOPBACK: Final = "127.0.0.1"

WANTED_PORTS: Final = {name: port for part in PARTS for name, port in part.ports.items()}
"""What each listens on unless `SOLARIS_<NAME>_PORT` says otherwise or the port is taken."""

_FREE_PORT_ATTEMPTS: Final = 1_000
_UNASKED_PORTS: Final = range(20_000, 32_768)
"""Below Linux' own choice for connections, above what programs are known for."""


class PortError(Exception):
    """A port or the host that was asked for can't be used; the text says why in one line."""


class PortLostError(Exception):
    """Another program listens on a port that was chosen: it came between the choice and the use."""

    def __init__(self, name: str, port: int) -> None:
        super().__init__(f"port {port}, chosen for {name}, was taken by another program meanwhile")
        self.name = name
        self.port = port


class PortClaims:
    """Ports that no other stack on this machine chooses and the kernel gives to nobody, until it is closed.

    A claim is two things (Linux; elsewhere a port is only looked at). An abstract Unix socket named after the port, of
    which there is one per network namespace, as there is of the port: two stacks that start at once can't both have
    it, and it ends with its process. And the port itself, bound but not listened on, with SO_REUSEADDR: our own
    server, which sets that too, may still take it.
    """

    def __init__(self, host: str = LOOPBACK) -> None:
        self._hosts = tuple(dict.fromkeys((LOOPBACK, host)))
        self._held: dict[int, list[socket.socket]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for port in tuple(self._held):
            self.release(port)

    def claim(self, port: int) -> bool:
        """Whether the port is ours from now on: nobody else has claimed it, and nobody listens."""
        if port in self._held:
            return False
        held: list[socket.socket] = []
        try:
            if sys.platform == "linux":
                held.append(_bound(socket.AF_UNIX, f"\0solaris-port-{port}"))
            for host in self._hosts:
                held.append(_bound(_family(host), (host, port)))
        except OSError:
            for one in held:
                one.close()
            return False
        if sys.platform != "linux":  # where a bound port can't be bound again
            while held:
                held.pop().close()
        self._held[port] = held
        return True

    def claim_any(self) -> int:
        """A port that the kernel finds free.

        Raises:
            PortError: there is none.
        """
        for _ in range(_FREE_PORT_ATTEMPTS):
            port = any_free()
            if self.claim(port):
                return port
        raise PortError("no free port was found on this machine")

    def release(self, port: int) -> None:
        for one in self._held.pop(port, []):
            one.close()


def choose_ports(
    environment: Mapping[str, str], earlier: Mapping[str, int], claims: PortClaims, lost: Collection[int] = ()
) -> dict[str, int]:
    """A port for each name: the environment's, else the earlier run's, else the wanted, else any free one.

    All of them are claimed. Those in `lost` proved to be taken, though they looked free.

    Raises:
        PortError: the environment names a port that is no port, is taken, or is named twice.
    """
    chosen: dict[str, int] = {}
    for name in WANTED_PORTS:
        variable = f"SOLARIS_{name.upper()}_PORT"
        if environment.get(variable):
            chosen[name] = _explicit(variable, environment[variable], chosen, claims, lost)
    for name, wanted in WANTED_PORTS.items():
        if name not in chosen:
            candidates = (port for port in (earlier.get(name), wanted) if port is not None and port not in lost)
            chosen[name] = next((port for port in candidates if claims.claim(port)), 0) or claims.claim_any()
    return chosen


def _explicit(variable: str, text: str, chosen: Mapping[str, int], claims: PortClaims, lost: Collection[int]) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise PortError(f"{variable}={text!r}: must be a port, a whole number from 1 to 65535")
    port = int(text)
    if port in chosen.values():
        raise PortError(f"{variable}={port}: the port is named twice; choose another, or unset it")
    if port in lost or not claims.claim(port):
        raise PortError(f"{variable}={port}: the port is taken; choose another, or unset it")
    return port


def check_host(host: str) -> None:
    """Raise PortError where no program of this machine can listen on `host`."""
    try:
        _bound(_family(host), (host, 0)).close()
    except OSError as error:
        reason = error.strerror or "no such address"
        raise PortError(f"SOLARIS_HOST={host}: {reason}; use an address of this machine such as {LOOPBACK}") from None


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on the port now."""
    try:
        _bound(_family(host), (host, port)).close()
    except OSError:
        return False
    return True


def any_free() -> int:
    """A free port below those that the kernel gives to whoever connects; another program may take it before its use.

    Raises:
        PortError: there is none.
    """
    for _ in range(_FREE_PORT_ATTEMPTS):
        port = secrets.choice(_UNASKED_PORTS)
        if is_free(port):
            return port
    raise PortError("no free port was found on this machine")


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _bound(family: socket.AddressFamily, address: str | tuple[str, int]) -> socket.socket:
    """A socket bound as a server would bind it; raises OSError where one listens there."""
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
