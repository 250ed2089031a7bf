"""The demo's clock as the test clock that a subscription shows: by it whoever asks knows the subscription's time."""

from typing import Final

from local_run.demo_stripe.wire.shapes import Object, make
from local_run.demo_stripe.world.world import World

_ID: Final = "clock_of_the_demo"
_LIVES_SECONDS: Final = 30 * 86_400


def clock_of(world: World) -> Object:
    """One for all subscriptions, at what the demo takes the time to be."""
    now = world.now()
    return make(
        "test_helpers.test_clock",
        id=_ID,
        created=now - world.ahead_seconds,
        deletes_after=now + _LIVES_SECONDS,
        frozen_time=now,
        livemode=False,
        name="demo",
        status="ready",
        status_details={},
    )
