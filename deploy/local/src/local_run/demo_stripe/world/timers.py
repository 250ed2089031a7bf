"""What shall happen at a time of the demo's clock."""

import logging
from collections.abc import Callable, Mapping
from typing import Final

from local_run.demo_stripe.wire.shapes import Object
from local_run.demo_stripe.world.world import World

log = logging.getLogger(__name__)

MAX_STEPS: Final = 10_000
"""Of one move of the clock: a century of renewals is no use to anybody."""

type Deed = Callable[[World, Object], None]


def set_timer(world: World, thing: Object, deed: str, at: int) -> None:
    """Let `deed` be done to the object at that time; a later call replaces an earlier one."""
    key = _key(thing, deed)
    if (known := world.get(key)) is not None:
        world.change(known, at=at)
    else:
        world.add({"id": key, "object": "demo.timer", "of": thing["id"], "deed": deed, "at": at})


def clear_timer(world: World, thing: Object, deed: str) -> None:
    if (known := world.get(_key(thing, deed))) is not None:
        world.remove(known)


def run_due(world: World, deeds: Mapping[str, Deed]) -> int:
    """Do all that is due by now, in the order of its times, each dated when it was due; returns how many."""
    done = 0
    until = world.now()
    while done < MAX_STEPS and (timer := _earliest(world)) is not None and timer["at"] <= until:
        world.remove(timer)
        if (thing := world.get(timer["of"])) is not None:
            world.stand_at(timer["at"])
            try:
                deeds[timer["deed"]](world, thing)
            except Exception:
                # The next ones are due all the same; time does not end with a mistake of ours.
                log.exception("%s of %s", timer["deed"], timer["of"])
            finally:
                world.stand_at(None)
        done += 1
    world.commit()
    return done


def _earliest(world: World) -> Object | None:
    return min(world.all_of("demo.timer"), key=lambda timer: int(timer["at"]), default=None)


def _key(thing: Object, deed: str) -> str:
    return f"timer:{deed}:{thing['id']}"
