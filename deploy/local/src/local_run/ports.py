"""Chooses TCP ports on loopback, once, and keeps them."""

import socket
from collections.abc import Mapping
from typing import Final

LOOPBACK: Final = "127.0.0.1"

WANTED_PORTS: Final = {
    "gateway": 8000,
    "ledger": 8001,
    "notifier": 8003,
    "upstream": 8010,
    "mailbox": 8025,
    "smtp": 8026,
    "postgres": 8032,
    "nats": 8022,
}
"""What each listens on unless `SOLARIS_<NAME>_PORT` says otherwise or the port is taken."""


class PortError(Exception):
    """A port that was asked for can't be used; the text says why in one line."""


def choose_ports(environment: Mapping[str, str], earlier: Mapping[str, int], host: str = LOOPBACK) -> dict[str, int]:
    """A port for each name: the environment's, else the earlier run's, else the wanted, else any free one.

    Free means on loopback and on `host`, where the services listen.

    Raises:
        PortError: the environment names a port that is no port, is taken, or is named twice.
    """
    chosen: dict[str, int] = {}
    for name in WANTED_PORTS:
        variable = f"SOLARIS_{name.upper()}_PORT"
        if environment.get(variable):
            chosen[name] = _explicit(variable, environment[variable], chosen, host)
    for name, wanted in WANTED_PORTS.items():
        if name not in chosen:
            candidates = (port for port in (earlier.get(name), wanted) if port is not None)
            taken = chosen.values()
            chosen[name] = next((port for port in candidates if port not in taken and _is_free_on(port, host)), 0)
            chosen[name] = chosen[name] or any_free()
    return chosen


def _explicit(variable: str, text: str, chosen: Mapping[str, int], host: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise PortError(f"{variable} is not a port: {text!r}")
    port = int(text)
    if port in chosen.values():
        raise PortError(f"{variable}: port {port} is named twice")
    if not _is_free_on(port, host):
        raise PortError(f"{variable}: port {port} is taken")
    return port


def _is_free_on(port: int, host: str) -> bool:
    return is_free(port) and (host == LOOPBACK or is_free(port, host))


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def any_free(host: str = LOOPBACK) -> int:
    """A port that the kernel finds free; another process may take it before its use."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
