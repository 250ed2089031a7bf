"""`python -m contracts.schemas docs/events [--check]`: every event's JSON Schema, and the AsyncAPI document of all."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

from msgspec.json import schema_components

from contracts.asyncapi import FILE_NAME, asyncapi_document
from contracts.envelope import cloud_event_type, event_decoder
from contracts.events.registry import EVENTS

SCHEMA_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema_file_name(name: str) -> str:
    """`ledger.usage_settled` → `ledger.usage_settled.v1.json`."""
    return f"{name}.v1.json"


def event_schema(name: str, data_type: type) -> dict[str, Any]:
    """The schema of the whole message, envelope included, with its own CloudEvents type."""
    _, definitions = schema_components([event_decoder(data_type).type], ref_template="#/$defs/{name}")
    for definition in definitions.values():
        if "description" in definition:  # a docstring, which Python 3.12 leaves indented as it stands
            definition["description"] = cleandoc(definition["description"])
    envelope = definitions.pop(next(iter(definitions)))
    envelope["properties"]["type"] = {"const": cloud_event_type(name), "type": "string"}
    return {"$schema": SCHEMA_DIALECT, "$defs": definitions, **envelope, "title": cloud_event_type(name)}


def generated_files() -> dict[str, str]:
    """File name → content: one for every event, and one that names them all."""
    documents = {schema_file_name(name): event_schema(name, data_type) for name, data_type in EVENTS.items()}
    documents[FILE_NAME] = asyncapi_document({name: schema_file_name(name) for name in EVENTS})
    return {name: json.dumps(document, indent=2, ensure_ascii=False) + "\n" for name, document in documents.items()}


def outdated_files(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """What in the folder differs from the wanted files: missing, changed, or a schema of no event."""
    changed = [
        name
        for name, content in wanted.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != content
    ]
    surplus = [path.name for path in folder.glob("*.v1.json") if path.name not in wanted]
    return sorted(changed + surplus)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with `--check` name what is out of date; the exit code is 1 then."""
    parser = argparse.ArgumentParser(prog="python -m contracts.schemas", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when files are out of date")
    options = parser.parse_args(arguments)
    wanted = generated_files()
    outdated = outdated_files(options.folder, wanted)
    if options.check:
        for name in outdated:
            sys.stderr.write(
                f"{options.folder / name}: out of date; run python -m contracts.schemas {options.folder}\n"
            )
        return 1 if outdated else 0
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in outdated:
        if name in wanted:
            (options.folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (options.folder / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
