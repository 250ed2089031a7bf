"""The generated documents are up to date, and each example of an event fits its schema's shape."""

import json
import re
from pathlib import Path

import pytest
from contracts import schemas
from contracts.events.registry import LEDGER_EVENTS, USAGE_RECORDED
from notifier import document

EVENTS_FOLDER = Path(__file__).parents[3] / "docs" / "events"


def test_the_committed_documents_are_those_that_the_code_generates() -> None:
    assert schemas.main([str(EVENTS_FOLDER), "--check"]) == 0
    assert document.main([str(EVENTS_FOLDER), "--check"]) == 0


def test_every_event_has_a_schema_that_fixes_its_type() -> None:
    files = schemas.schema_files()
    assert set(files) == {f"{name}.v1.json" for name in [USAGE_RECORDED, *LEDGER_EVENTS]}
    for name, content in files.items():
        schema = json.loads(content)
        assert schema["properties"]["type"]["const"] == f"solaris.{name.removesuffix('.json')}"


def test_a_changed_missing_or_surplus_schema_fails_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert schemas.main([str(tmp_path)]) == 0
    (tmp_path / "usage.recorded.v1.json").write_text("{}")
    (tmp_path / "ledger.tokens_reserved.v1.json").unlink()
    (tmp_path / "ledger.forgotten.v1.json").write_text("{}")
    assert schemas.main([str(tmp_path), "--check"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert schemas.main([str(tmp_path)]) == 0
    assert schemas.main([str(tmp_path), "--check"]) == 0


def test_the_asyncapi_document_points_at_existing_schemas_by_legal_names() -> None:
    described = json.loads(document.asyncapi_document())
    messages = described["components"]["messages"]
    told = {"threshold_crossed", "allowance_exhausted", "tokens_exhausted", "access_restored"}
    assert set(messages) == {f"ledger.{name}" for name in told}
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", name) for name in messages)
    assert all((EVENTS_FOLDER / message["payload"]["schema"]["$ref"]).is_file() for message in messages.values())
    references = re.findall(r'"(#/[^"]+)"', json.dumps(described))
    assert references
    for reference in references:
        node = described
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
