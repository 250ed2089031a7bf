"""The loader of questions and dashboards, against a stand-in that is as strict as Metabase's source: none ran here."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from deploy.metabase.load import main, read_dashboards, read_questions
from tests.support.metabase import KEY, FakeMetabase, serving

URL = "postgresql://solaris_analytics:s%40crit@db.internal:6432/solaris"


@dataclass(frozen=True)
class Stage:
    metabase: FakeMetabase
    environment: dict[str, str]
    capture: pytest.CaptureFixture[str]

    def load(self, *arguments: str, **changes: str) -> dict[str, int]:
        """What it did; it must have gone well."""
        assert main(self.environment | changes, arguments) == 0, self.capture.readouterr()
        done: dict[str, int] = json.loads(self.capture.readouterr().out)
        return done

    def refused(self, **changes: str) -> str:
        assert main(self.environment | changes, ()) == 1
        told = self.capture.readouterr()
        assert (told.out, told.err.count("\n"), told.err[:7]) == ("", 1, "error: ")
        return told.err

    def writes(self) -> Sequence[tuple[str, str]]:
        taken, self.metabase.writes[:] = list(self.metabase.writes), []
        return taken


@pytest.fixture
def stage(capsys: pytest.CaptureFixture[str]) -> Iterator[Stage]:
    fake = FakeMetabase()
    with serving(fake) as url:
        environment = {"METABASE_URL": url, "METABASE_API_KEY": KEY, "SOLARIS_ANALYTICS_URL": URL}
        yield Stage(fake, environment, capsys)


def test_everything_is_loaded_and_then_nothing_changes(stage: Stage) -> None:
    questions, dashboards = read_questions(), read_dashboards()
    done = stage.load()
    assert done == {"created": len(questions) + len(dashboards), "updated": 0, "unchanged": 0}
    assert {card["entity_id"] for card in stage.metabase.things["card"].values()} == {
        question.entity_id for question in questions.values()
    }
    (database,) = stage.metabase.things["database"].values()
    assert (database["engine"], database["details"]["password"]) == ("postgres", "s@crit")
    assert database["details"]["schema-filters-patterns"] == "analytics"
    assert len(stage.metabase.things["dashcard"]) == sum(len(each.cards) for each in dashboards.values())
    assert stage.writes()
    assert stage.load() == {"created": 0, "updated": 0, "unchanged": len(questions) + len(dashboards)}
    assert stage.writes() == []


def test_a_run_that_dies_anywhere_is_gone_on_with(stage: Stage) -> None:
    stage.load()
    all_writes, things = len(stage.writes()), {kind: len(each) for kind, each in stage.metabase.things.items()}
    for deaths in range(all_writes):
        again = FakeMetabase()
        with serving(again) as url:
            again.dies_after = deaths
            assert "503" in stage.refused(METABASE_URL=url)
            again.dies_after = None
            stage.load(METABASE_URL=url)
            assert {kind: len(each) for kind, each in again.things.items()} == things


def test_what_somebody_changed_is_theirs_until_the_file_changes(stage: Stage) -> None:
    stage.load()
    card = stage.metabase.named("card")["Margem por mês"]
    card["dataset_query"]["native"]["query"] = "SELECT {{brl_per_usd}}"
    stage.load()
    assert card["dataset_query"]["native"]["query"] == "SELECT {{brl_per_usd}}"
    assert stage.load("--force")["unchanged"] == 0
    assert "analytics.margin_by_month" in card["dataset_query"]["native"]["query"]
    card["description"] = (
        card["description"].replace("[solaris:margin_by_month:", "[solaris:margin_by_month:0")[:-2] + "]"
    )
    assert stage.load()["updated"] == 1


def test_what_was_put_away_comes_back(stage: Stage) -> None:
    stage.load()
    card, dashboard = stage.metabase.named("card")["Margem por mês"], stage.metabase.named("dashboard")
    card["archived"] = True
    assert stage.load()["updated"] == 1
    assert not card["archived"]
    stage.metabase.delete_card(card["id"])
    assert stage.load() == {"created": 1, "updated": 1, "unchanged": len(read_questions()) - 1 + len(dashboard) - 1}


def test_a_card_that_somebody_put_beside_ours_stays_where_it_is(stage: Stage) -> None:
    stage.load()
    own = stage.metabase.add("card", name="Own")
    dashboard = stage.metabase.named("dashboard")["Solaris: receita e margem"]
    place = {"row": 30, "col": 0, "size_x": 4, "size_y": 4}
    beside = stage.metabase.add("dashcard", dashboard_id=dashboard["id"], card_id=own["id"], **place)
    before = set(stage.metabase.things["dashcard"])
    stage.load("--force")
    assert set(stage.metabase.things["dashcard"]) == before
    assert {name: beside[name] for name in place} == place


def test_another_language_is_another_content_of_the_same_things(stage: Stage) -> None:
    stage.load()
    done = stage.load(METABASE_LANGUAGE="en")
    assert (done["created"], done["unchanged"]) == (0, 0)
    assert "Margin by month" in stage.metabase.named("card")


def test_another_database_is_told_and_its_password_is_left(stage: Stage) -> None:
    stage.load()
    stage.writes()
    stage.load(SOLARIS_ANALYTICS_URL=URL.replace("6432", "5432"))
    (database,) = stage.metabase.things["database"].values()
    assert database["details"]["port"] == 5432
    stage.load(SOLARIS_ANALYTICS_URL="")
    assert stage.writes() == [("PUT", f"/api/database/{database['id']}")]


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_a_connection_that_is_to_be_encrypted_is_one_however_much_more_is_asked(stage: Stage, mode: str) -> None:
    stage.load()
    stage.load(SOLARIS_ANALYTICS_URL=f"{URL}?connect_timeout=5&sslmode={mode}")
    (database,) = stage.metabase.things["database"].values()
    assert (database["details"]["ssl"], database["details"]["ssl-mode"]) == (True, mode)
    stage.writes()
    stage.load()
    assert stage.writes() == [], "an address that does not say how leaves it as it is"


def test_a_person_signs_in_where_there_is_no_key(stage: Stage) -> None:
    person = {"METABASE_API_KEY": "", "METABASE_USER": "ana@example.com"}
    assert stage.load(**person, METABASE_PASSWORD="right")["created"] > 0
    assert "401" in stage.refused(**person, METABASE_PASSWORD="wrong")


@pytest.mark.parametrize(
    "changes",
    [
        {"METABASE_URL": ""},
        {"METABASE_URL": "file:///etc/passwd"},
        {"METABASE_URL": "http://127.0.0.1:1"},
        {"METABASE_API_KEY": ""},
        {"METABASE_API_KEY": "wrong"},
        {"METABASE_LANGUAGE": "fr"},
        {"SOLARIS_ANALYTICS_URL": ""},
        {"SOLARIS_ANALYTICS_URL": "nonsense"},
        {"SOLARIS_ANALYTICS_URL": f"{URL}?sslmode=required"},
    ],
)
def test_what_can_not_be_is_told_in_one_line(stage: Stage, changes: dict[str, str]) -> None:
    stage.refused(**changes)
    assert stage.metabase.things["card"] == {}


def test_the_files_agree_with_one_another() -> None:
    questions, dashboards = read_questions(), read_dashboards()
    assert len({each.entity_id for each in questions.values()}) == len(questions)
    shown = {question for each in dashboards.values() for question, *_ in each.cards}
    assert shown == set(questions)
    for question in questions.values():
        assert set(question.names) == set(question.about) == {"pt", "en"}
        assert set(re.findall(r"{{(\w+)}}", question.sql)) == set(question.numbers)
        columns = question.visualization.get("graph.dimensions", []) + question.visualization.get("graph.metrics", [])
        assert [column for column in columns if column not in question.sql] == []
    for dashboard in dashboards.values():
        taken = [
            (row + y, column + x)
            for _, row, column, width, height in dashboard.cards
            for y in range(height)
            for x in range(width)
        ]
        assert len(taken) == len(set(taken)), "no card lies on another"
