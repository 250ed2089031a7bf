"""`python deploy/metabase/load.py`: loads questions and dashboards into a Metabase by its API; twice changes nothing.

Needs Python 3.12 alone. What it is told stands in the environment, see `README.md`.
"""

import hashlib
import json
import os
import re
import sys
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

HERE: Final = Path(__file__).parent
TIMEOUT_SECONDS: Final = 30.0
MAX_ANSWER_BYTES: Final = 50_000_000
COLLECTION: Final = "Solaris"
DATABASE: Final = "Solaris"
LANGUAGES: Final = ("pt", "en")
_MARK: Final = re.compile(r"\s*\[solaris:(?P<key>[a-z_]+):(?P<digest>[0-9a-f]{12})\]\s*$")
"""At a description's end: what of ours it is, and of which content. Collections and dashboards take no id of ours."""
_DASHCARD: Final = ("id", "card_id", "row", "col", "size_x", "size_y", "series", "parameter_mappings")
_KEPT: Final = (*_DASHCARD, "dashboard_tab_id", "action_id", "visualization_settings")

_COMPARED: Final = ("host", "port", "dbname", "user", "ssl", "ssl-mode")
"""Of a database's details: what tells that it is another, or reached otherwise; what was not said is Metabase's."""
_SSL_MODES: Final = {
    "disable": False,
    "allow": False,
    "prefer": False,
    "require": True,
    "verify-ca": True,
    "verify-full": True,
}
"""Those of PostgreSQL's clients, and whether each is nothing without encryption."""

type Json = dict[str, Any]  # whatever Metabase answers


class LoadError(Exception):
    """Nothing, or not all, was loaded; the text says why in one line."""


@dataclass(frozen=True)
class Question:
    """A file of `questions/`; `entity_id` is an id of Metabase's own kind, the same wherever it is loaded."""

    key: str
    entity_id: str
    names: Mapping[str, str]
    about: Mapping[str, str]
    display: str
    sql: str
    visualization: Json
    numbers: Mapping[str, float]
    """What the SQL names in double braces, with the value that it has unless somebody types another."""

    def dataset_query(self, database_id: int) -> Json:
        tags = {
            name: {
                "id": _uuid_of(f"{self.key}:{name}"),
                "name": name,
                "display-name": name.replace("_", " "),
                "type": "number",
                "required": True,
                "default": str(value),
            }
            for name, value in self.numbers.items()
        }
        return {"database": database_id, "type": "native", "native": {"query": self.sql, "template-tags": tags}}


@dataclass(frozen=True)
class Dashboard:
    """A file of `dashboards/`: `cards` are (question, row, column, width, height) on a grid of 24 columns."""

    key: str
    names: Mapping[str, str]
    about: Mapping[str, str]
    cards: Sequence[tuple[str, int, int, int, int]]


def read_questions(folder: Path = HERE / "questions") -> dict[str, Question]:
    """All of them, by their files' names."""
    return {path.stem: _question(path) for path in sorted(folder.glob("*.toml"))}


def _question(path: Path) -> Question:
    told = tomllib.loads(path.read_text())
    return Question(
        key=path.stem,
        entity_id=told["entity_id"],
        names=told["names"],
        about=told["about"],
        display=told["display"],
        sql=told["sql"].strip(),
        visualization=told.get("visualization", {}),
        numbers=told.get("numbers", {}),
    )


def read_dashboards(folder: Path = HERE / "dashboards") -> dict[str, Dashboard]:
    """All of them, by their files' names."""
    found = {}
    for path in sorted(folder.glob("*.toml")):
        told = tomllib.loads(path.read_text())
        cards = [(card["question"], *card["place"]) for card in told["cards"]]
        found[path.stem] = Dashboard(path.stem, told["names"], told["about"], cards)
    return found


class Metabase:
    """Its API, as version 0.56 has it."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url.rstrip("/")
        self._headers = dict(headers)

    def sign_in(self, user: str, password: str) -> None:
        """With a person's name, where there is no key."""
        session = self.post("/api/session", {"username": user, "password": password})
        self._headers["X-Metabase-Session"] = session["id"]

    def get(self, path: str) -> Json:
        return self._ask("GET", path)

    def find(self, path: str) -> Json | None:
        """None where there is no such thing."""
        try:
            return self._ask("GET", path)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None

    def post(self, path: str, body: Json) -> Json:
        return self._ask("POST", path, body)

    def put(self, path: str, body: Json) -> Json:
        return self._ask("PUT", path, body)

    def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers | {"Content-Type": "application/json"}
        request = urllib.request.Request(self._url + path, data, headers, method=method)  # noqa: S310  what was typed
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  likewise
            found: Json = json.loads(answer.read(MAX_ANSWER_BYTES))
            return found


class Loader:
    """Makes what is missing, changes what is of another content, leaves what is as it was; `done` counts both."""

    def __init__(self, metabase: Metabase, language: str, *, force: bool = False) -> None:
        self._metabase = metabase
        self._language = language
        self._force = force
        self.done = {"created": 0, "updated": 0, "unchanged": 0}

    def load(
        self, questions: Mapping[str, Question], dashboards: Mapping[str, Dashboard], database_url: str | None
    ) -> None:
        """Everything; killed anywhere, the same again goes on."""
        database_id = self._database(database_url)
        collection_id = self._collection()
        cards = {key: self._question(question, database_id, collection_id) for key, question in questions.items()}
        known = self._items(collection_id, "dashboard")
        for dashboard in dashboards.values():
            self._dashboard(dashboard, known.get(dashboard.key), cards, collection_id)

    def _database(self, url: str | None) -> int:
        found = next((each for each in self._metabase.get("/api/database")["data"] if each["name"] == DATABASE), None)
        if found is None and url is None:
            raise LoadError(f"Metabase has no database {DATABASE}: set SOLARIS_ANALYTICS_URL, and it is made")
        if url is None:
            assert found is not None, "either is there"
            return int(found["id"])
        details = _details(url)
        if found is None:
            made = self._metabase.post("/api/database", {"name": DATABASE, "engine": "postgres", "details": details})
            return int(made["id"])
        # Metabase tells no password; another one alone is typed there, or loaded with another user.
        if any(found["details"].get(name) != details[name] for name in _COMPARED if name in details):
            self._metabase.put(f"/api/database/{found['id']}", {"details": found["details"] | details})
        return int(found["id"])

    def _collection(self) -> int:
        body = {"name": COLLECTION, "description": _marked("", "collection", "")}
        for each in self._metabase.get("/api/collection/root/items?models=collection")["data"]:
            if _key_of(each.get("description")) == "collection":
                return int(each["id"])
        return int(self._metabase.post("/api/collection", body)["id"])

    def _items(self, collection_id: int, model: str) -> dict[str, Json]:
        found = self._metabase.get(f"/api/collection/{collection_id}/items?models={model}&limit=1000")["data"]
        return {key: each for each in found if (key := _key_of(each.get("description"))) is not None}

    def _question(self, question: Question, database_id: int, collection_id: int) -> int:
        body = {
            "name": question.names[self._language],
            "display": question.display,
            "visualization_settings": question.visualization,
            "dataset_query": question.dataset_query(database_id),
            "collection_id": collection_id,
        }
        description = _marked(question.about[self._language], question.key, body)
        body["description"] = description
        found = self._metabase.find(f"/api/card/{question.entity_id}")
        if found is None:
            self.done["created"] += 1
            return int(self._metabase.post("/api/card", body | {"entity_id": question.entity_id})["id"])
        if self._is_as_loaded(found, description):
            self.done["unchanged"] += 1
        else:
            self._metabase.put(f"/api/card/{found['id']}", body | {"archived": False})
            self.done["updated"] += 1
        return int(found["id"])

    def _dashboard(
        self, dashboard: Dashboard, known: Json | None, cards: Mapping[str, int], collection_id: int
    ) -> None:
        placed = [(cards[question], *place) for question, *place in dashboard.cards]
        body = {"name": dashboard.names[self._language], "collection_id": collection_id}
        description = _marked(dashboard.about[self._language], dashboard.key, [body, placed])
        if known is None:
            # Known from its first moment on, and not as loaded until its cards are there.
            begun = body | {"description": _marked("", dashboard.key, "")}
            dashboard_id = int(self._metabase.post("/api/dashboard", begun)["id"])
            before: list[Json] = []
        else:
            found = self._metabase.get(f"/api/dashboard/{known['id']}")
            if self._is_as_loaded(found, description):
                self.done["unchanged"] += 1
                return
            dashboard_id, before = int(found["id"]), found["dashcards"]
        dashcards = _dashcards(placed, before)
        update = body | {"description": description, "dashcards": dashcards, "archived": False}
        self._metabase.put(f"/api/dashboard/{dashboard_id}", update)
        self.done["created" if known is None else "updated"] += 1

    def _is_as_loaded(self, found: Json, description: str) -> bool:
        """Whether it was loaded from this very content; what somebody changed there since is theirs."""
        return not self._force and found.get("description") == description and not found.get("archived")


def _dashcards(placed: Sequence[tuple[int, ...]], before: Sequence[Json]) -> list[Json]:
    """Ours at their places, those that are there under their ids; what somebody put beside them stays."""
    known = {each["card_id"]: each["id"] for each in before if each.get("card_id") is not None}
    ours = {card_id for card_id, *_ in placed}
    cards: list[Json] = [
        {
            "id": known.get(card_id, -number),
            "card_id": card_id,
            "row": row,
            "col": column,
            "size_x": width,
            "size_y": height,
        }
        for number, (card_id, row, column, width, height) in enumerate(placed, start=1)
    ]
    kept: list[Json] = [
        {name: each[name] for name in _KEPT if name in each} for each in before if each.get("card_id") not in ours
    ]
    return [*cards, *kept]


def _details(url: str) -> Json:
    parts = urlsplit(url)
    if not parts.hostname or not parts.username:
        raise LoadError("SOLARIS_ANALYTICS_URL: must be postgresql://user:password@host:port/database")
    mode = parse_qs(parts.query).get("sslmode", [""])[-1]
    if mode and mode not in _SSL_MODES:
        raise LoadError(f"SOLARIS_ANALYTICS_URL: sslmode must be one of {', '.join(_SSL_MODES)}")
    return {
        "host": parts.hostname,
        "port": parts.port or 5432,
        "dbname": parts.path.removeprefix("/"),
        "user": unquote(parts.username),
        "password": unquote(parts.password or ""),
        "schema-filters-type": "inclusion",
        "schema-filters-patterns": "analytics",
        # What is to be verified needs a certificate that is typed in Metabase; until then it does not connect.
        **({"ssl": _SSL_MODES[mode], "ssl-mode": mode if _SSL_MODES[mode] else "require"} if mode else {}),
    }


def _marked(about: str, key: str, content: object) -> str:
    digest = hashlib.sha256(json.dumps([about, content], sort_keys=True).encode()).hexdigest()[:12]
    return f"{about} [solaris:{key}:{digest}]".strip()


def _key_of(description: str | None) -> str | None:
    found = _MARK.search(description or "")
    return None if found is None else found["key"]


def _uuid_of(text: str) -> str:
    digits = hashlib.sha256(text.encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"


def _sign_in(environment: Mapping[str, str], language: str) -> Metabase:
    url, key, user = (environment.get(f"METABASE_{name}", "") for name in ("URL", "API_KEY", "USER"))
    if not url.startswith(("http://", "https://")) or not (key or user) or language not in LANGUAGES:
        raise LoadError("set METABASE_URL, METABASE_API_KEY (or METABASE_USER and METABASE_PASSWORD), see README.md")
    metabase = Metabase(url, {"x-api-key": key} if key else {})
    if not key:
        metabase.sign_in(user, environment.get("METABASE_PASSWORD", ""))
    return metabase


def main(environment: Mapping[str, str], arguments: Sequence[str]) -> int:
    """Returns the exit code; says in one line what was done, or why not."""
    language = environment.get("METABASE_LANGUAGE", "pt")
    try:
        metabase = _sign_in(environment, language)
        loader = Loader(metabase, language, force="--force" in arguments)
        loader.load(read_questions(), read_dashboards(), environment.get("SOLARIS_ANALYTICS_URL") or None)
    except LoadError as error:
        return _told(str(error))
    except urllib.error.HTTPError as error:
        return _told(f"Metabase answered {error.code} to {error.url}: {error.read(500).decode(errors='replace')}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return _told(f"Metabase does not answer as expected: {error!r}")
    sys.stdout.write(json.dumps(loader.done) + "\n")
    return 0


def _told(text: str) -> int:
    sys.stderr.write(f"error: {' '.join(text.split())}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(os.environ, sys.argv[1:]))
