"""Puts the gateway together."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any

import structlog
from chassis.caller_keys import CallerKeyring
from chassis.core_nats.client import CoreNats
from chassis.health import Check
from chassis.loop_lag import watch_loop_lag
from chassis.service import Part, Service, Work, run
from chassis.settings import SettingsError
from starlette.types import ASGIApp

from gateway import metrics
from gateway.application.chat import ChatService
from gateway.domain.model_families import Encoding
from gateway.http.app import GatewayApp
from gateway.http.chat_route import ChatRoute
from gateway.http.descriptors import raise_limit, share_out
from gateway.http.server import serve_calls
from gateway.journal.journal import Journal, JournalInUseError
from gateway.journal.position import PositionFile
from gateway.messaging.drainer import Drainer
from gateway.messaging.request_log import RequestLog
from gateway.messaging.reservations import Reserver
from gateway.settings import Enforcement, GatewaySettings
from gateway.tokenizers.encodings import token_counter
from gateway.upstream.client import UpstreamClient
from gateway.upstream.models import ModelLists, ModelMaxima

log = structlog.get_logger()

DRAIN_SECONDS = 1.0
RESTART_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Metering:
    """What a metering gateway has beside its routes; a gateway that is switched off has none of it."""

    chat: ChatService | None = None
    requests: RequestLog | None = None
    parts: Sequence[Part] = ()
    checks: Mapping[str, Check] = field(default_factory=dict)


def assemble(settings: GatewaySettings) -> Service:
    """A gateway that stops by saying so, finishing calls, interrupting what takes too long, publishing its journal."""
    descriptors = raise_limit()
    shares = share_out(descriptors, settings.max_open_calls)
    log.info("descriptors", limit=descriptors, max_open_calls=shares.calls, max_connections=shares.connections)
    metrics.MODE.info({"mode": settings.enforcement.value, "version": version("solaris-gateway")})
    upstream = UpstreamClient(
        settings.upstream_url,
        api_key=settings.upstream_api_key.get_secret_value().strip(),
        connect_seconds=settings.upstream_connect_seconds,
        idle_seconds=settings.upstream_idle_seconds,
    )
    models = ModelLists(upstream, cache_seconds=settings.models_cache_seconds)
    maxima = ModelMaxima(upstream)
    metering = Metering() if settings.enforcement is Enforcement.OFF else _metering(settings, upstream, maxima)
    keys = CallerKeyring(settings.keys)
    chat = ChatRoute(
        settings,
        keys=keys,
        chat=metering.chat,
        upstream=upstream,
        max_open_calls=shares.calls,
        requests=metering.requests,
    )

    def edge(health: ASGIApp) -> Part:
        app = GatewayApp(keys=keys, chat=chat, models=models, operations=health)
        return _serving(app, chat, settings, shares.connections)

    return Service(
        settings=settings,
        port=settings.gateway_port,
        checks=metering.checks,
        parts=[
            upstream,
            *metering.parts,
            Work(partial(_keep_on, partial(maxima.refresh_for_ever, settings.model_info_seconds))),
            Work(partial(watch_loop_lag, metrics.LOOP_LAG_SECONDS)),
        ],
        edge=edge,
    )


def _metering(settings: GatewaySettings, upstream: UpstreamClient, maxima: ModelMaxima) -> Metering:
    token_counter(Encoding.O200K)
    directory = settings.data_dir / "gateway" / "journal"
    nats = CoreNats(settings.nats_url, service="gateway")
    metrics.NATS_CONNECTED.set_function(lambda: float(nats.is_connected))
    metrics.NATS_CONNECTS.set_function(lambda: nats.connects)
    journal = Journal(directory, keep_seconds=settings.journal_keep_seconds, keep_bytes=settings.journal_keep_bytes)
    drainer = Drainer(journal, PositionFile(directory / "position.json"), nats)
    requests = RequestLog(nats)
    reserver = Reserver(
        nats,
        deadline_seconds=settings.reserve_deadline_seconds,
        attempt_seconds=settings.reserve_attempt_seconds,
    )
    chat = ChatService(
        settings,
        reserver=reserver,
        upstream=upstream,
        model_output_tokens=maxima.output_tokens,
        journal=journal,
    )
    return Metering(
        chat=chat,
        requests=requests,
        parts=[
            nats,
            _opened(journal),
            Work(partial(_keep_on, drainer.run)),
            Work(partial(_keep_on, requests.run)),
            _drained(drainer, requests),
        ],
        checks={"ledger": reserver.why_not_ready, "journal": journal.check, "usage": drainer.check},
    )


@contextlib.asynccontextmanager
async def _serving(
    app: GatewayApp, chat: ChatRoute, settings: GatewaySettings, max_connections: int
) -> AsyncIterator[None]:
    async with serve_calls(
        app,
        settings.host,
        settings.gateway_port,
        finish_seconds=settings.shutdown_seconds,
        max_connections=max_connections,
    ):
        yield
        # Whoever shares calls out among gateways learns of it while calls are still served.
        await asyncio.sleep(settings.stop_notice_seconds)
        log.info("calls_finish", open_calls=chat.open_calls)
        asyncio.get_running_loop().call_later(settings.shutdown_seconds, chat.interrupt_all)


@contextlib.asynccontextmanager
async def _opened(journal: Journal) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(journal.opened())
        except (OSError, JournalInUseError) as error:
            raise SettingsError(f"the journal below SOLARIS_DATA_DIR can't be used: {error!r}") from error
        yield


@contextlib.asynccontextmanager
async def _drained(drainer: Drainer, requests: RequestLog) -> AsyncIterator[None]:
    yield
    is_drained, are_told = await asyncio.gather(drainer.drain(DRAIN_SECONDS), requests.flush(DRAIN_SECONDS))
    if not is_drained:
        log.warning("journal_not_drained", backlog_bytes=drainer.backlog_bytes())
    if not are_told:
        log.warning("requests_not_told", lost=requests.waiting)


async def _keep_on(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Should the work fail, it starts anew after a pause: a defect of what runs beside calls must end no call."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("background_work_failed")
        await asyncio.sleep(RESTART_SECONDS)


main = partial(run, "gateway", GatewaySettings, assemble)
