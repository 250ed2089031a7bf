"""Types of settings that more than one service has, each with what makes a value usable."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr

MIN_SECRET_LENGTH: Final = 16
MAX_SECRETS: Final = 8
DEVELOPMENT_KEY: Final = "sk-solaris-dev"
"""Everybody knows it: of the local run, whose services are reached from this machine alone."""
MIN_KEY_LENGTH: Final = 12
_MIN_DIFFERENT_CHARACTERS: Final = 5
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_LEVELS: Final = ("debug", "info", "warning", "error", "critical")


def did_you_mean(value: str, known: list[str], *, cutoff: float = 0.6) -> str:
    """`; did you mean …?` where one of the known is close, else nothing."""
    by_lower_case = {name.lower(): name for name in known}
    close = get_close_matches(value.lower(), by_lower_case, n=1, cutoff=cutoff)
    return f"; did you mean {by_lower_case[close[0]]}?" if close else ""


def check_strength(secret: str) -> str | None:
    """Why a secret is too weak to keep others out, or None."""
    if len(secret) < MIN_SECRET_LENGTH or len(set(secret)) < _MIN_DIFFERENT_CHARACTERS:
        return (
            f"must have at least {MIN_SECRET_LENGTH} characters that nobody guesses; `openssl rand -hex 24` makes them"
        )
    return None


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach the host, or are it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _log_level(level: str) -> str:
    if level.lower() not in _LEVELS:
        raise ValueError(f"must be one of {', '.join(_LEVELS)}{did_you_mean(level, list(_LEVELS))}")
    return level.lower()


def _host(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        if _HOST_NAME.fullmatch(host) and not host.replace(".", "").isdigit():
            return host
    raise ValueError("must be an address of this machine such as 127.0.0.1 or 0.0.0.0, without a port")


def _web_url(url: str) -> str:
    parts = _split(url)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or " " in url:
        raise ValueError("must be an http or https address such as https://solaris.example.com")
    return url.rstrip("/")


def _database_url(url: str) -> str:
    # Several hosts, which the driver tries in turn, make a port that no URL parser reads.
    parts = _split(re.sub(r",[^/@?]*", "", url))
    if parts is None or parts.scheme not in {"postgresql", "postgres"} or parts.path in {"", "/"}:
        raise ValueError("must be postgresql://user:password@host:5432/database")
    return url


def _nats_url(urls: str) -> str:
    for url in urls.split(","):
        parts = _split(url.strip())
        if urls and (parts is None or parts.scheme not in {"nats", "tls"} or not parts.hostname):
            raise ValueError("must be nats://host:port or tls://host:port, with a user and password where needed")
    return urls


def _networks(texts: str) -> str:
    try:
        networks = [ip_network(text.strip()) for text in texts.split(",") if text.strip()]
    except ValueError:
        networks = []
    # Whoever trusts everybody lets each name the address by which they are known.
    if not networks or any(network.prefixlen == 0 for network in networks):
        raise ValueError("must be addresses or networks of proxies such as 10.0.0.7 or 10.0.0.0/8, comma-separated")
    return ",".join(map(str, networks))


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if url.isprintable() and parts.port != 0 else None
    except ValueError:
        return None


Port = Annotated[int, Field(ge=1, le=65535)]
LogLevel = Annotated[str, AfterValidator(_log_level)]
Host = Annotated[str, AfterValidator(_host)]
WebUrl = Annotated[str, AfterValidator(_web_url)]
DatabaseUrl = Annotated[
    str,
    AfterValidator(_database_url),
    Field(repr=False, description="set it to postgresql://user:password@host:5432/database"),
]
"""Holds a password: neither printed nor told."""
NatsUrl = Annotated[
    str, AfterValidator(_nats_url), Field(repr=False, description="set it to nats://user:password@host:4222")
]
"""One server, or several with commas between. Empty where a part of the service can do without."""

Proxies = Annotated[str, AfterValidator(_networks)]
"""Addresses and networks, with commas between, of whom `X-Forwarded-For` is believed: where a request came from."""


def _strong(value: SecretStr) -> SecretStr:
    if weakness := check_strength(value.get_secret_value()):
        raise ValueError(weakness)
    return value


StrongSecret = Annotated[SecretStr, AfterValidator(_strong)]


def split_secrets(value: SecretStr) -> list[str]:
    """The secrets that stand in one variable with commas between."""
    return [secret for each in value.get_secret_value().split(",") if (secret := each.strip())]


def _all_strong(value: SecretStr) -> SecretStr:
    secrets = split_secrets(value)
    if not secrets or len(secrets) > MAX_SECRETS:
        raise ValueError(f"must be 1 to {MAX_SECRETS} secrets with commas between")
    for number, secret in enumerate(secrets, start=1):
        if weakness := check_strength(secret):
            raise ValueError(f"number {number} of {len(secrets)} {weakness}" if len(secrets) > 1 else weakness)
    return value


StrongSecrets = Annotated[SecretStr, AfterValidator(_all_strong)]
"""Several with commas between, so that one can take another's place while both are believed."""


def _strong_keys(value: SecretStr) -> SecretStr:
    keys = split_secrets(value)
    if not keys or any(len(key) < MIN_KEY_LENGTH or len(set(key)) < _MIN_DIFFERENT_CHARACTERS for key in keys):
        raise ValueError(f"must name comma-separated keys of at least {MIN_KEY_LENGTH} characters that nobody guesses")
    return value


CallerKeys = Annotated[SecretStr, AfterValidator(_strong_keys)]
"""Of the programs that may call, each with a key of its own, with commas between."""


def check_development_key(keys: Sequence[str], host: str) -> str | None:
    """Why these may not be the keys of a service that listens on this host, or None."""
    if DEVELOPMENT_KEY not in keys or is_loopback(host):
        return None
    return (
        f"the development key is for 127.0.0.1 alone, and SOLARIS_HOST={host} opens it to others; set keys of your own"
    )
