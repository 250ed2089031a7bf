"""Health and metrics of the ledger."""

from chassis.core_nats.client import CoreNats
from chassis.health import Check, health_routes
from nats.aio.client import Client
from starlette.applications import Starlette

from ledger.application.executor import Executor
from ledger.messaging.reads import ReadResponder
from ledger.messaging.topology import find_drift
from ledger.settings import LedgerSettings


def build_app(
    client: Client, core: CoreNats, reads: ReadResponder, executor: Executor, settings: LedgerSettings
) -> Starlette:
    """Ready when the store takes writes and NATS is connected; a doubted time and drifted streams are noted."""

    async def database() -> str | None:
        return (await reads.ready()).error

    async def nats() -> str | None:
        return None if client.is_connected and core.is_connected else "disconnected"

    async def clock() -> str | None:
        jump = executor.clock.jump_seconds
        return f"the database's clock has jumped by {jump:.0f} s and is not believed yet" if jump else None

    async def streams() -> str | None:
        return "; ".join(await find_drift(client.jetstream(timeout=1), settings.jetstream_replicas)) or None

    checks: dict[str, Check] = {"postgres": database, "nats": nats}
    notes: dict[str, Check] = {"clock": clock, "streams": streams}
    return Starlette(
        routes=health_routes(checks, notes=notes, instance=settings.instance, metrics_token=settings.metrics_token)
    )
