"""The generated documents are up to date, and each example of an event fits its schema's shape."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from contracts import schemas
from contracts.asyncapi import FILE_NAME
from contracts.events.registry import EVENTS
from contracts.subjects import REQUESTS_STREAM
from contracts.topology import CONSUMERS
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

EVENTS_FOLDER = Path(__file__).parents[3] / "docs" / "events"


def test_the_committed_documents_are_those_that_the_code_generates() -> None:
    assert schemas.main([str(EVENTS_FOLDER), "--check"]) == 0


def test_every_event_has_a_schema_that_fixes_its_type() -> None:
    files = schemas.generated_files()
    del files[FILE_NAME]
    assert set(files) == {f"{name}.v1.json" for name in EVENTS}
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


def test_the_asyncapi_document_names_who_publishes_and_who_reads_each_event() -> None:
    operations = _described()["operations"]
    assert {name for name in operations if name.startswith("publish.")} == {f"publish.{name}" for name in EVENTS}
    assert operations["publish.usage.recorded"]["tags"] == [{"name": "gateway"}]
    assert operations["read.usage.recorded.ledger-usage"]["tags"] == [{"name": "ledger"}]
    told = {name for name in operations if name.endswith(".notifier-ledger")}
    names = {"threshold_crossed", "allowance_exhausted", "tokens_exhausted", "access_restored"}
    assert told == {f"read.ledger.{name}.notifier-ledger" for name in names}
    heard = {name for name in operations if name.startswith("hear.")}
    assert heard == {"hear.ledger.usage_settled.billing", "hear.ledger.reservation_expired.billing"}
    # What gateways tell of requests is no event: it is personal, and described with its message alone.
    consumers = [consumer for consumer in CONSUMERS if consumer.stream != REQUESTS_STREAM]
    subjects = [subject for consumer in consumers for subject in consumer.filter_subjects]
    assert len(subjects) == sum(name.startswith("read.") for name in operations), "a subject that is no event's"


def test_the_asyncapi_document_is_valid_and_points_at_existing_schemas_by_legal_names() -> None:
    described = _described()
    ApplicationSchema.model_validate(described)
    messages = described["components"]["messages"]
    assert set(messages) == set(EVENTS)
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", name) for name in messages)
    assert all((EVENTS_FOLDER / message["payload"]["schema"]["$ref"]).is_file() for message in messages.values())
    for channel in described["channels"].values():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel["parameters"])
    references = re.findall(r'"(#/[^"]+)"', json.dumps(described))
    assert references
    for reference in references:
        node = described
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def _described() -> dict[str, Any]:
    described: dict[str, Any] = json.loads(schemas.generated_files()[FILE_NAME])
    return described
