"""Health and metrics of the ledger."""

from chassis.core_nats.client import CoreNats
from chassis.health import Check, health_routes
from nats.aio.client import Client
from starlette.applications import Starlette

from ledger.messaging.reads import ReadResponder


def build_app(client: Client, core: CoreNats, reads: ReadResponder) -> Starlette:
    """Ready when the store takes statements and NATS is connected."""

    async def database() -> str | None:
        return (await reads.ready()).error

    async def nats() -> str | None:
        return None if client.is_connected and core.is_connected else "disconnected"

    checks: dict[str, Check] = {"postgres": database, "nats": nats}
    return Starlette(routes=health_routes(checks))
