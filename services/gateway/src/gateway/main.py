"""Puts the gateway together and runs it until a signal."""

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import version

import structlog
from chassis.core_nats.client import CoreNats
from chassis.health import Check, health_routes
from chassis.logging import configure_logging
from chassis.loop_lag import LoopLag
from chassis.service import settle_memory, stop_signal
from starlette.applications import Starlette

from gateway import metrics
from gateway.application.chat import ChatService
from gateway.application.pass_through import PassThrough
from gateway.application.rules import Rules
from gateway.domain.keys import ServiceKeys
from gateway.domain.model_families import Encoding
from gateway.http.app import GatewayApp
from gateway.http.chat_route import ChatRoute
from gateway.http.descriptors import raise_limit, share_out
from gateway.http.request_body import BodyBounds
from gateway.http.server import serve
from gateway.journal.journal import Journal, JournalInUseError
from gateway.journal.position import PositionFile
from gateway.messaging.drainer import Drainer
from gateway.messaging.reservations import Reserver
from gateway.settings import Enforcement, GatewaySettings, LedgerFailure, UnknownFields
from gateway.tokenizers.encodings import token_counter
from gateway.upstream.client import UpstreamClient
from gateway.upstream.models import ModelLists, ModelMaxima

log = structlog.get_logger()

DRAIN_SECONDS = 1.0
RESTART_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Metering:
    """What a metering gateway has beside its routes; a gateway that is switched off has none of it."""

    journal: Journal
    drainer: Drainer
    reserver: Reserver


async def main() -> None:
    settings = GatewaySettings.load()
    configure_logging("gateway", settings.log_level)
    stop = stop_signal()
    await run_gateway(settings, stop)


async def run_gateway(settings: GatewaySettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then finish open calls, interrupt what takes too long, and drain the journal."""
    descriptors = raise_limit()
    shares = share_out(descriptors, settings.max_open_calls)
    log.info("descriptors", limit=descriptors, max_open_calls=shares.calls, max_connections=shares.connections)
    async with contextlib.AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(
            UpstreamClient(
                settings.upstream_url,
                connect_seconds=settings.upstream_connect_seconds,
                idle_seconds=settings.upstream_idle_seconds,
            )
        )
        metering = None
        if settings.enforcement is not Enforcement.OFF:
            token_counter(Encoding.O200K)
            metering = await stack.enter_async_context(_metering(settings))
        authorization = _authorization(settings)
        upstream_headers = [] if authorization is None else [(b"authorization", authorization)]
        maxima = ModelMaxima(upstream, upstream_headers)
        await stack.enter_async_context(_background(lambda: maxima.refresh_for_ever(settings.model_info_seconds)))
        keys = ServiceKeys(settings.keys)
        chat = _chat_route(settings, keys, upstream, maxima, metering, max_open_calls=shares.calls)
        app = GatewayApp(
            keys=keys,
            chat=chat,
            models=ModelLists(upstream, upstream_headers, cache_seconds=settings.models_cache_seconds),
            operations=Starlette(
                routes=health_routes(
                    _checks(metering),
                    instance=settings.instance,
                    metrics_token=settings.metrics_token,
                    stopping=stop.is_set,
                )
            ),
        )
        lag = LoopLag()
        metrics.LOOP_LAG_SECONDS.set_function(lambda: lag.seconds)
        await stack.enter_async_context(_background(lag.watch))
        metrics.MODE.info({"mode": settings.enforcement.value, "version": version("solaris-gateway")})
        async with serve(
            app,
            settings.host,
            settings.gateway_port,
            finish_seconds=settings.shutdown_seconds,
            max_connections=shares.connections,
        ):
            settle_memory()
            log.info("gateway_ready", port=settings.gateway_port, enforcement=settings.enforcement.value)
            await stop.wait()
            log.info("gateway_stopping", open_calls=chat.open_calls)
            # Whoever shares calls out among gateways learns of it while calls are still served.
            await asyncio.sleep(settings.stop_notice_seconds)
            asyncio.get_running_loop().call_later(settings.shutdown_seconds, chat.interrupt_all)
    log.info("gateway_stopped")


def _chat_route(
    settings: GatewaySettings,
    keys: ServiceKeys,
    upstream: UpstreamClient,
    maxima: ModelMaxima,
    metering: Metering | None,
    *,
    max_open_calls: int,
) -> ChatRoute:
    authorization = _authorization(settings)
    notice_key = _derived_key(settings.secret, "notices")
    observing = settings.enforcement is Enforcement.OBSERVE
    chat = None
    if metering is not None:
        chat = ChatService(
            rules=Rules(
                observe=observing,
                forward_without_ledger=settings.ledger_failure is LedgerFailure.OPEN,
                pseudonym_key=_derived_key(settings.secret, "pseudonyms"),
                notice_key=notice_key,
                silence_seconds=settings.silence_seconds,
                call_seconds=settings.call_seconds,
                refuse_unknown_fields=settings.unknown_fields is UnknownFields.REFUSE,
            ),
            reserver=metering.reserver,
            upstream=upstream,
            upstream_authorization=authorization,
            model_output_tokens=maxima.output_tokens,
            journal=metering.journal,
        )
    return ChatRoute(
        keys=keys,
        chat=chat,
        pass_through=PassThrough(upstream, authorization),
        observing=observing,
        presentation=settings.presentation,
        notice_key=notice_key,
        upstream_errors_in_chat=settings.upstream_errors_in_chat,
        body_bounds=BodyBounds(
            most_bytes=settings.max_body_bytes,
            seconds=settings.body_seconds,
            bytes_per_second=settings.body_bytes_per_second,
            patience_seconds=settings.body_patience_seconds,
        ),
        request_memory_bytes=settings.request_memory_bytes,
        max_open_calls=max_open_calls,
        request_seconds=settings.call_seconds,
    )


@contextlib.asynccontextmanager
async def _metering(settings: GatewaySettings) -> AsyncIterator[Metering]:
    """The journal, its drainer and the way to the ledger; on leaving, what is left is published or kept on disk.

    Raises:
        SystemExit: the journal can't be written, or another gateway writes it.
    """
    directory = settings.data_dir / "gateway" / "journal"
    journal = Journal(directory, keep_seconds=settings.journal_keep_seconds, keep_bytes=settings.journal_keep_bytes)
    try:
        journal.open()
    except (OSError, JournalInUseError) as error:
        raise SystemExit(f"cannot start: the journal below SOLARIS_DATA_DIR can't be used: {error!r}") from error
    client = CoreNats(settings.nats_url, service="gateway")
    client.open()
    drainer = Drainer(journal, PositionFile(directory / "position.json"), client)
    metrics.JOURNAL_BACKLOG_BYTES.set_function(drainer.backlog_bytes)
    metrics.JOURNAL_WORKING.set_function(lambda: float(journal.failure is None))
    metrics.JOURNAL_LOST.set_function(lambda: journal.lost_lines)
    reserver = Reserver(
        client,
        deadline_seconds=settings.reserve_deadline_seconds,
        attempt_seconds=settings.reserve_attempt_seconds,
    )
    metrics.UNPUBLISHED_SECONDS.set_function(drainer.oldest_unpublished_seconds)
    metrics.NATS_CONNECTED.set_function(lambda: float(client.is_connected))
    metrics.NATS_CONNECTS.set_function(lambda: client.connects)
    metrics.CLOCK_SKEW.set_function(lambda: reserver.skew_seconds)
    async with _background(drainer.run):
        yield Metering(journal=journal, drainer=drainer, reserver=reserver)
        if not await drainer.drain(DRAIN_SECONDS):
            log.warning("journal_not_drained", backlog_bytes=drainer.backlog_bytes())
    drainer.close()
    await journal.close()
    await client.close()


@contextlib.asynccontextmanager
async def _background(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run `work` beside the block; should it fail, it starts anew after a pause."""

    async def keep_working() -> None:
        while True:
            try:
                await work()
            except Exception:
                log.exception("background_work_failed")
            await asyncio.sleep(RESTART_SECONDS)

    task = asyncio.create_task(keep_working())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _checks(metering: Metering | None) -> dict[str, Check]:
    if metering is None:
        return {}

    async def journal() -> str | None:
        return metering.journal.failure

    async def usage() -> str | None:
        return metering.drainer.failure

    return {"ledger": metering.reserver.why_not_ready, "journal": journal, "usage": usage}


def _authorization(settings: GatewaySettings) -> bytes | None:
    key = settings.upstream_api_key.get_secret_value().strip() if settings.upstream_api_key is not None else ""
    return b"Bearer " + key.encode() if key else None


def _derived_key(secret: bytes, purpose: str) -> bytes:
    return hmac.digest(secret, f"solaris gateway {purpose}".encode(), "sha256")
