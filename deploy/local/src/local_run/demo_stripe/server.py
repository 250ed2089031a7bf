"""Runs a demo Stripe inside an event loop: for the local run in its own process, for tests in theirs."""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import stripe
from chassis.health import INSTANCE_HEADER
from chassis.server import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_run.demo_stripe.objects.endpoints import new_endpoint
from local_run.demo_stripe.objects.settlement import DEEDS
from local_run.demo_stripe.web.api import Api
from local_run.demo_stripe.web.checkout_pages import CheckoutPages
from local_run.demo_stripe.web.deliveries import Deliverer
from local_run.demo_stripe.web.faults import Faults
from local_run.demo_stripe.web.portal_pages import PortalPages
from local_run.demo_stripe.web.rendering import stylesheet
from local_run.demo_stripe.web.state_page import StatePage
from local_run.demo_stripe.web.steering import Steering
from local_run.demo_stripe.world.keeping import Keeping
from local_run.demo_stripe.world.timers import run_due
from local_run.demo_stripe.world.world import World
from local_run.own_names import under_own_names
from local_run.ports import LOOPBACK

log = logging.getLogger(__name__)

OWN_ENDPOINT: Final = "we_local_run"
_TICK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStripe:
    """A running one; `world` is for tests that look inside."""

    url: str
    api_key: str
    webhook_secret: str
    world: World
    deliverer: Deliverer


def create_app(world: World, deliverer: Deliverer, api_key: str, instance: str = "") -> Starlette:
    """Stripe's API below `/v1`, pages below `/c`, and `/demo` to steer it."""
    faults = Faults()
    api = Api(world, api_key, faults)

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"}, headers={INSTANCE_HEADER: instance} if instance else {})

    async def css(_: Request) -> Response:
        return stylesheet()

    async def broken(_: Request, error: Exception) -> Response:
        body = {"error": {"message": f"The demo Stripe is broken: {error!r}", "type": "api_error"}}
        return JSONResponse(body, 500)

    return Starlette(
        exception_handlers={Exception: broken},
        routes=[
            Route("/v1/{rest:path}", api.answer, methods=["GET", "POST", "DELETE"]),
            *CheckoutPages(world).routes(),
            *PortalPages(world).routes(),
            *Steering(world, deliverer, faults).routes(),
            *StatePage(world, deliverer).routes(),
            Route("/assets/demo.css", css),
            Route("/health/live", live),
        ],
    )


@contextlib.asynccontextmanager
async def run_demo_stripe(
    *,
    port: int,
    api_key: str,
    webhook_url: str | None = None,
    webhook_secret: str = "",
    path: Path | None = None,
    instance: str = "",
    wall_clock: Callable[[], float] = time.time,
) -> AsyncIterator[DemoStripe]:
    """Serve on loopback while the block runs; state is kept in the file at `path`, or for this run alone.

    All events go to `webhook_url`, where one is given, signed with `webhook_secret`.

    Raises:
        KeepingError: the file cannot be used.
        OSError: the port cannot be listened on.
    """
    with contextlib.closing(Keeping(path)) as keeping:
        url = f"http://{LOOPBACK}:{port}"
        world = World(keeping, url, wall_clock)
        _settle_endpoint(world, webhook_url, webhook_secret)
        deliverer = Deliverer(world)
        app = under_own_names(create_app(world, deliverer, api_key, instance))
        async with serve(app, LOOPBACK, port, server_header=False, timeout_graceful_shutdown=1, backlog=4096):
            working = [asyncio.create_task(deliverer.run()), asyncio.create_task(_keep_time(world))]
            try:
                yield DemoStripe(
                    url=url, api_key=api_key, webhook_secret=webhook_secret, world=world, deliverer=deliverer
                )
            finally:
                for task in working:
                    task.cancel()
                await asyncio.gather(*working, return_exceptions=True)


def _settle_endpoint(world: World, url: str | None, secret: str) -> None:
    """The endpoint that this run is told of, under an id of its own."""
    known = world.get(OWN_ENDPOINT, "webhook_endpoint")
    if url is None:
        if known is not None:
            world.remove(known)
    elif known is None:
        own = {"description": "The local run's", "api_version": stripe.api_version}
        new_endpoint(world, id=OWN_ENDPOINT, url=url, secret=secret, events=["*"], **own)
    else:
        world.change(known, url=url)
        world.note(known["id"], secret=secret)
    world.commit()


async def _keep_time(world: World) -> None:
    """What is due happens within a second or so, without anybody asking."""
    while True:
        try:
            run_due(world, DEEDS)
        except sqlite3.Error:  # a full disk: nothing is lost while the process lives, and the next tick tries again
            log.exception("what is due could not be kept")
        await asyncio.sleep(_TICK_SECONDS)
