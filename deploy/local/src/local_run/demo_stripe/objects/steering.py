"""What the demo was told to do next: decline a card, leave a refund pending."""

from typing import Final

from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.world.world import World

CARDS: Final = ("ok", "declined", "authentication_required")
REFUNDS: Final = ("succeeded", "pending", "failed")
MAX_TIMES: Final = 1_000
_STEERING: Final = "steering"


def steer(world: World, what: str, following: str, times: int) -> None:
    """Let the next `times` of `what` (`card`, `refund`) end so."""
    world.note(_STEERING, **{what: {"next": following, "times": times}})


def next_of(world: World, what: str, usual: str) -> str:
    """How this one ends; counts down what was told."""
    told: Object | None = world.notes(_STEERING).get(what)
    if not told or told["times"] < 1:
        return usual
    world.note(_STEERING, **{what: {**told, "times": told["times"] - 1}})
    return str(told["next"])


def steered(world: World) -> Object:
    """What is still told, for the demo's own page."""
    return {name: told for name, told in world.notes(_STEERING).items() if isinstance(told, dict) and told["times"] > 0}
