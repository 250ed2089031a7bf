"""FastStream's NATS broker: it reconnects for ever, and hands messages over as they came."""

import logging
from urllib.parse import urlsplit

from faststream.nats import NatsBroker, NatsToken
from faststream.nats.annotations import NatsMessage
from faststream.security import BaseSecurity, SASLPlaintext
from nats.aio.msg import Msg

from chassis.core_nats.connection import Login
from chassis.core_nats.wire import server_urls


def create_broker(nats_url: str, service: str) -> NatsBroker:
    """Connects when it is started; its handlers get what their decoder returns, and it logs through our logger."""
    urls = server_urls(nats_url)
    return NatsBroker(
        [_without_login(url) for url in urls],
        security=_security(Login.of(urls[0], name=service)),
        name=service,
        inbox_prefix=f"_INBOX_{service}",
        connect_timeout=2,
        reconnect_time_wait=1,
        max_reconnect_attempts=-1,
        ping_interval=10,
        max_outstanding_pings=2,
        graceful_timeout=5.0,
        apply_types=False,  # it would ask a thread for each message
        logger=logging.getLogger("chassis.faststream"),
        log_level=logging.DEBUG,
    )


def _security(login: Login) -> BaseSecurity | None:
    """As `CoreNats` logs in; nats-py would take each server's own login, and that as it is quoted in the URL."""
    if login.user is None:
        return None
    return NatsToken(login.user) if login.password is None else SASLPlaintext(login.user, login.password)


def _without_login(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


async def undecoded(message: NatsMessage) -> Msg:
    """A decoder that leaves the bytes to the handler: what FastStream fails to decode never reaches one."""
    return message.raw_message
