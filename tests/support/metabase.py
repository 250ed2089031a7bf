"""As much of Metabase's API as the loader uses, as strict as its source (0.56) is: what it would refuse is refused.

It is no Metabase: it runs no query and draws nothing.
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

KEY: Final = "mb_key_for_tests"
SESSION: Final = "a-session"
_CARD: Final = {
    *("name", "type", "dataset_query", "entity_id", "parameters", "description", "display", "visualization_settings"),
    *("collection_id", "collection_position", "result_metadata", "cache_ttl"),
}
_CARD_UPDATE: Final = _CARD - {"entity_id"} | {"archived", "enable_embedding", "embedding_params"}
_DASHBOARD: Final = {"name", "description", "parameters", "cache_ttl", "collection_id", "collection_position"}
_DASHBOARD_UPDATE: Final = _DASHBOARD | {"archived", "dashcards", "tabs", "width", "auto_apply_filters"}
_DASHCARD: Final = {
    *("id", "card_id", "row", "col", "size_x", "size_y", "series", "parameter_mappings", "visualization_settings"),
    *("dashboard_tab_id", "action_id"),
}
_COLLECTION: Final = {"name", "description", "parent_id", "namespace", "authority_level"}
_DATABASE: Final = {"name", "engine", "details", "is_full_sync", "is_on_demand", "schedules", "auto_run_queries"}
_TAG: Final = {"id", "name", "display-name", "type", "default", "required"}
_ENTITY_ID: Final = re.compile(r"[A-Za-z0-9_-]{21}")
type Thing = dict[str, Any]  # an object of Metabase's


class _RefusedError(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class FakeMetabase:
    """Its things by kind and id; `writes` are the requests that change something, in their order."""

    def __init__(self) -> None:
        self.things: dict[str, dict[int, Thing]] = {
            kind: {} for kind in ("card", "dashboard", "collection", "database", "dashcard")
        }
        self.writes: list[tuple[str, str]] = []
        self.dies_after: int | None = None
        self._numbers = 0

    def add(self, kind: str, **fields: object) -> Thing:
        """As if a person had made it."""
        self._numbers += 1
        thing = {"id": self._numbers, "archived": False, "description": None, **fields}
        self.things[kind][self._numbers] = thing
        return thing

    def delete_card(self, card_id: int) -> None:
        """As if a person had: it is gone from dashboards, too."""
        del self.things["card"][card_id]
        cards = self.things["dashcard"]
        self.things["dashcard"] = {number: each for number, each in cards.items() if each["card_id"] != card_id}

    def named(self, kind: str) -> dict[str, Thing]:
        return {thing["name"]: thing for thing in self.things[kind].values()}

    def answer(self, method: str, path: str, body: Thing, headers: Mapping[str, str]) -> Any:  # whatever it answers
        if (method, path) == ("POST", "/api/session"):
            _closed(body, {"username", "password"})
            if body["password"] != "right":
                raise _RefusedError(401, "did not match stored password")
            return {"id": SESSION}
        if headers.get("x-api-key") != KEY and headers.get("x-metabase-session") != SESSION:
            raise _RefusedError(401, "Unauthenticated")
        if method != "GET":
            if self.dies_after is not None and len(self.writes) >= self.dies_after:
                raise _RefusedError(503, "dies")
            self.writes.append((method, path))
        route, _, query = path.removeprefix("/api/").partition("?")
        kind, _, rest = route.partition("/")
        if kind == "collection" and rest.endswith("/items"):
            return self._items(rest.removesuffix("/items"), query)
        match method, kind, rest:
            case "GET", "database", "":
                return {"data": list(self.things["database"].values()), "total": 1}
            case "GET", _, _:
                return self._shown(kind, self._thing(kind, rest))
            case "POST", _, "":
                return self._made(kind, body)
            case "PUT", _, _:
                return self._changed(kind, self._thing(kind, rest), body)
        raise _RefusedError(404, "API endpoint does not exist.")

    def _items(self, parent: str, query: str) -> Thing:
        parent_id = None if parent == "root" else int(parent)
        (kind,) = re.findall(r"models=(\w+)", query)
        place = "parent_id" if kind == "collection" else "collection_id"
        found = [each for each in self.things[kind].values() if each.get(place) == parent_id and not each["archived"]]
        return {"data": [{name: each[name] for name in ("id", "name", "description")} for each in found]}

    def _thing(self, kind: str, name: str) -> Thing:
        for thing in self.things[kind].values():
            if name in (str(thing["id"]), thing.get("entity_id")):
                return thing
        raise _RefusedError(404, "Not found.")

    def _shown(self, kind: str, thing: Thing) -> Thing:
        if kind != "dashboard":
            return thing
        cards = [each for each in self.things["dashcard"].values() if each["dashboard_id"] == thing["id"]]
        return thing | {"dashcards": [each | {"created_at": "…", "card": {}} for each in cards]}

    def _made(self, kind: str, body: Thing) -> Thing:
        allowed = {"card": _CARD, "dashboard": _DASHBOARD, "collection": _COLLECTION, "database": _DATABASE}[kind]
        _closed(body, allowed)
        if kind == "card":
            _check_card(body)
            if any(body["entity_id"] == each.get("entity_id") for each in self.things["card"].values()):
                raise _RefusedError(500, "duplicate entity_id")
        return self.add(kind, **body)

    def _changed(self, kind: str, thing: Thing, body: Thing) -> Thing:
        allowed = {"card": _CARD_UPDATE, "dashboard": _DASHBOARD_UPDATE, "database": _DATABASE}[kind]
        _closed(body, allowed)
        if kind == "card":
            _check_card(thing | body)
        if kind == "dashboard" and "dashcards" in body:
            self._place(thing["id"], body["dashcards"])
        thing.update({name: value for name, value in body.items() if name != "dashcards"})
        return thing

    def _place(self, dashboard_id: int, dashcards: list[Thing]) -> None:
        known = {number for number, each in self.things["dashcard"].items() if each["dashboard_id"] == dashboard_id}
        for each in dashcards:
            _closed(each, _DASHCARD)
            fits = each["size_x"] > 0 and each["size_y"] > 0 and each["row"] >= 0 and each["col"] >= 0
            if not fits or each["col"] + each["size_x"] > 24:
                raise _RefusedError(400, "not on the grid")
            if each.get("card_id") is not None and each["card_id"] not in self.things["card"]:
                raise _RefusedError(404, "no such card")
        for each in dashcards:
            if each["id"] in known:
                self.things["dashcard"][each["id"]].update(each)
            else:
                self.add("dashcard", **{**each, "id": self._numbers + 1, "dashboard_id": dashboard_id})
        for number in known - {each["id"] for each in dashcards}:
            del self.things["dashcard"][number]


def _closed(body: Thing, allowed: set[str]) -> None:
    if strange := set(body) - allowed:
        raise _RefusedError(400, f"unknown keys: {sorted(strange)}")


def _check_card(card: Thing) -> None:
    query = card["dataset_query"]
    _closed(query, {"database", "type", "native"})
    _closed(query["native"], {"query", "template-tags"})
    named = set(re.findall(r"{{(\w+)}}", query["native"]["query"]))
    for tag in query["native"]["template-tags"].values():
        _closed(tag, _TAG)
    if named != set(query["native"]["template-tags"]) or not card["name"] or not card["display"]:
        raise _RefusedError(400, "not a card")
    if not _ENTITY_ID.fullmatch(card["entity_id"]):
        raise _RefusedError(400, "not an entity id")


@contextmanager
def serving(fake: FakeMetabase) -> Iterator[str]:
    """Its address, for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as it is called there
            pass

        def _answer(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                status, told = 200, fake.answer(self.command, self.path, body, headers)
            except _RefusedError as error:
                status, told = error.status, str(error)
            payload = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815  as they are called there

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
