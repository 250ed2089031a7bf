"""Notes each request for the request log, once, when it has ended."""

from collections.abc import Callable, Mapping
from typing import Final

import structlog

from gateway import metrics
from gateway.application.call import Call
from gateway.application.kept_bodies import KeptBodies
from gateway.application.request_line import Asker, request_line
from gateway.domain.client_address import ClientAddresses
from gateway.http.exchange import Exchange
from gateway.messaging.request_log import RequestLog
from gateway.settings import GatewaySettings

log = structlog.get_logger()

INTERNAL_ERROR: Final = "internal_error"


class RequestNotes:
    """`name` tells a call whose it is by its headers, where nothing else was read of it."""

    def __init__(
        self, settings: GatewaySettings, lines: RequestLog, name: Callable[[Call, Mapping[bytes, bytes]], None]
    ) -> None:
        self._addresses = ClientAddresses(settings.trusted_proxies)
        self._body_bytes = settings.log_body_bytes if settings.log_bodies else 0
        self._lines = lines
        self._name = name

    def begin(self, exchange: Exchange) -> None:
        """Keep how the answer begins, where bodies are wanted."""
        if self._body_bytes:
            exchange.kept = KeptBodies(self._body_bytes)

    def note(self, call: Call, exchange: Exchange) -> None:
        """Note how it ended; nothing of one whose caller is unknown, or that names no account. Never raises."""
        try:
            if not call.key_id:
                return
            if not call.account_id:
                self._name(call, exchange.headers)
                if not call.account_id:
                    return
            asker = Asker(
                headers=exchange.headers,
                address=self._addresses.of(exchange.peer, exchange.forwarded_for),
                bodies=exchange.kept.told() if exchange.kept is not None else None,
            )
            status = exchange.status or (500 if call.code == INTERNAL_ERROR else 0)
            self._lines.add(request_line(call, asker, status))
        except Exception:  # a defect here must cost a line of the log and no answer
            metrics.REQUEST_LINES_LOST.labels("not_made").inc()
            log.exception("request_not_noted", request_id=call.id)
