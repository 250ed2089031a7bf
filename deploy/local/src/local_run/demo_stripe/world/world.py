"""The demo's one state: Stripe's objects by id and kind, and what the demo notes beside them."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from stripe._api_version import _ApiVersion

from local_run.demo_stripe.wire.errors import RefusedError, no_such
from local_run.demo_stripe.wire.sdk_types import fields_of
from local_run.demo_stripe.wire.shapes import CLASSES, Object, make
from local_run.demo_stripe.world.keeping import Keeping

MAX_OF_A_KIND: Final = 20_000
_NEVER_DROPPED: Final = frozenset(
    {
        "billing_portal.configuration",
        "coupon",
        "customer",
        "promotion_code",
        "subscription",
        "webhook_endpoint",
    }
)
"""Of these no more are taken when there are too many; of all others the oldest go, with what is noted of them."""
_BESIDE_OTHERS: Final = frozenset({"demo.notes", "demo.timer"})
_IN_USE: Final = frozenset({"price", "product"})
"""Of these only what is not active goes: what a Checkout Session made for itself."""
_CLOCK: Final = "demo_clock"
_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"


class World:
    """Everything that the demo knows. Changes are kept by `commit`, those of one request together."""

    def __init__(self, keeping: Keeping, base_url: str, wall_clock: Callable[[], float] = time.time) -> None:
        self.base_url = base_url
        self.on_deliveries: Callable[[list[Object]], None] = lambda _: None
        """Called with the new deliveries of each commit."""
        self.idempotency_key: str | None = None
        """Of the request that is being answered; its events name it."""
        self._keeping = keeping
        self._wall_clock = wall_clock
        self._moment: int | None = None
        self._by_id: dict[str, Object] = {}
        self._by_kind: dict[str, dict[str, Object]] = {}
        self._changed: dict[str, Object] = {}
        self._removed: dict[str, None] = {}
        self._to_deliver: list[Object] = []
        for each in keeping.load():
            self._index(each)
        if _CLOCK not in self._by_id:
            self.add({"id": _CLOCK, "object": "demo.clock", "ahead_seconds": 0})
        self.commit()

    # --- time ---

    def now(self) -> int:
        """The demo's time in Unix seconds: the wall's, and what it was moved ahead."""
        return self._moment if self._moment is not None else int(self._wall_clock()) + self.ahead_seconds

    def unmoved_now(self) -> int:
        """The wall's time in Unix seconds: of keys, and of what is open for a while to whoever asked for it."""
        return int(self._wall_clock())

    @property
    def ahead_seconds(self) -> int:
        return int(self._by_id[_CLOCK]["ahead_seconds"])

    def move_ahead(self, seconds: int) -> None:
        self.change(self._by_id[_CLOCK], ahead_seconds=self.ahead_seconds + seconds)

    def stand_at(self, moment: int | None) -> None:
        """Let it be that time until told otherwise (None): what is due late is dated when it was due."""
        self._moment = moment

    # --- objects ---

    def new_id(self, prefix: str, length: int = 24) -> str:
        return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(length))

    def add(self, thing: Object) -> Object:
        """Remember a new object; the oldest of its kind may go.

        Raises:
            RefusedError: there are too many of a kind of which none may go.
        """
        kind = self._by_kind.setdefault(thing["object"], {})
        if len(kind) >= MAX_OF_A_KIND:
            self._make_room(thing["object"], kind)
        self._index(thing)
        self._changed[thing["id"]] = thing
        self._removed.pop(thing["id"], None)
        return thing

    def _make_room(self, name: str, kind: dict[str, Object]) -> None:
        if name in _BESIDE_OTHERS:
            return  # as many as there are of those others
        may_go = (each for each in kind.values() if name not in _IN_USE or not each["active"])
        oldest = None if name in _NEVER_DROPPED else next(may_go, None)
        if oldest is None:
            raise RefusedError(f"The demo keeps at most {MAX_OF_A_KIND} of {name}.", status=429)
        self.remove(oldest)

    def create(self, kind: str, prefix: str, /, **values: Any) -> Object:  # Any: fields of many types
        """Make and remember an object of that kind: its id, and its time and `livemode` where it has them."""
        usual = {"id": self.new_id(prefix), "created": self.now(), "livemode": False}
        known = fields_of(CLASSES[kind])
        return self.add(make(kind, **{name: at for name, at in usual.items() if name in known} | values))

    def change(self, thing: Object, /, **values: Any) -> Object:
        """What of it changed, with the values from before: an event's `previous_attributes`."""
        before = {name: thing.get(name) for name, value in values.items() if thing.get(name) != value}
        thing |= values
        self._changed[thing["id"]] = thing
        return before

    def remove(self, thing: Object) -> None:
        """Forget it, and what is noted of it."""
        if (notes := self.get(f"notes:{thing['id']}")) is not None:
            self.remove(notes)
        self._by_id.pop(thing["id"], None)
        self._by_kind[thing["object"]].pop(thing["id"], None)
        self._changed.pop(thing["id"], None)
        self._removed[thing["id"]] = None

    def get(self, identifier: str | None, kind: str | None = None) -> Object | None:
        found = self._by_id.get(identifier or "")
        return found if found is not None and kind in (None, found["object"]) else None

    def find(self, kind: str, identifier: str, param: str | None = None) -> Object:
        """The object that a path, or the parameter `param`, names.

        Raises:
            RefusedError: there is none.
        """
        found = self.get(identifier, kind)
        if found is None:
            raise no_such(
                kind.rpartition(".")[2].replace("_", " "), identifier, param=param or "id", status=400 if param else 404
            )
        return found

    def all_of(self, kind: str) -> Iterator[Object]:
        """The newest first."""
        return reversed(self._by_kind.get(kind, {}).values())

    def count(self, kind: str) -> int:
        return len(self._by_kind.get(kind, {}))

    # --- what the demo notes beside an object, and Stripe does not show ---

    def notes(self, identifier: str) -> Object:
        return self._by_id.get(f"notes:{identifier}", {})

    def note(self, identifier: str, /, **values: Any) -> None:
        key = f"notes:{identifier}"
        known = self._by_id.get(key) or self.add({"id": key, "object": "demo.notes"})
        self.change(known, **values)

    # --- events ---

    def emit(self, kind: str, thing: Object, previous: Object | None = None) -> Object:
        """Tell that something happened: an event, and a delivery to each endpoint that wants it."""
        data: Object = {"object": json.loads(json.dumps(thing))}
        if previous is not None:
            data["previous_attributes"] = json.loads(json.dumps(previous))
        wanting = [each for each in self.all_of("webhook_endpoint") if _wants(each, kind)]
        event = self.create(
            "event",
            "evt",
            api_version=_ApiVersion.CURRENT,
            data=data,
            pending_webhooks=len(wanting),
            request={"id": self.new_id("req", 14), "idempotency_key": self.idempotency_key},
            type=kind,
        )
        self._to_deliver += [self.add_delivery(event, endpoint) for endpoint in wanting]
        return event

    def add_delivery(self, event: Object, endpoint: Object) -> Object:
        """Write down that this event is to go to that endpoint."""
        names = {"event": event["id"], "endpoint": endpoint["id"], "type": event["type"]}
        told = {"state": "pending", "attempts": 0, "last": None}
        return self.add({"id": self.new_id("del"), "object": "demo.delivery", **names, **told})

    def commit(self) -> None:
        """Keep what changed, all of it or nothing."""
        if not self._changed and not self._removed:
            return
        self._keeping.save(self._changed.values(), self._removed)
        self._changed.clear()
        self._removed.clear()
        if self._to_deliver:
            fresh, self._to_deliver = self._to_deliver, []
            self.on_deliveries(fresh)

    def _index(self, thing: Object) -> None:
        self._by_id[thing["id"]] = thing
        self._by_kind.setdefault(thing["object"], {})[thing["id"]] = thing


def _wants(endpoint: Object, kind: str) -> bool:
    return endpoint["status"] == "enabled" and ("*" in endpoint["enabled_events"] or kind in endpoint["enabled_events"])
