"""`python -m notifier.document docs/events [--check]`: the AsyncAPI document of what the notifier consumes."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from contracts.envelope import CONTENT_TYPE
from contracts.schemas import schema_file_name
from contracts.subjects import LEDGER_STREAM, NOTIFIER_LEDGER_CONSUMER
from contracts.topology import CONSUMERS
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.annotations import NatsMessage
from faststream.specification import AsyncAPI
from nats.js.api import ConsumerConfig

from notifier.reading import TOLD_EVENTS

FILE_NAME: Final = "notifier.asyncapi.json"
SCHEMA_FORMAT: Final = "application/schema+json;version=draft-2020-12"


async def _hear(message: NatsMessage) -> None: ...


def asyncapi_document() -> str:
    """FastStream's document, with what it cannot know: the handler reads bytes, and these are what they hold."""
    broker = NatsBroker("nats://127.0.0.1:4222")
    subscriber = broker.subscriber(
        stream=JStream(LEDGER_STREAM, declare=False),
        durable=NOTIFIER_LEDGER_CONSUMER,
        config=ConsumerConfig(
            filter_subjects=[
                subject
                for each in CONSUMERS
                if each.durable_name == NOTIFIER_LEDGER_CONSUMER
                for subject in each.filter_subjects
            ]
        ),
        pull_sub=PullSub(),
        title="notifier-ledger",
        description="Events of the ledger that a person is told about.",
    )
    subscriber(_hear)
    specification = AsyncAPI(broker, title="Solaris notifier", version="1", description="Tells people, once.")
    text = specification.to_specification().to_json()
    for name in TOLD_EVENTS:
        # FastStream's names hold ':' and '*', which AsyncAPI does not allow in the keys of components.
        for star in ("*", "%2A"):
            text = text.replace(f"{NOTIFIER_LEDGER_CONSUMER}:solaris.{name}.{star}", name)
        text = text.replace(f"{name}:SubscribeMessage", name).replace(f"{name}Subscribe", f"receive.{name}")
    document: dict[str, Any] = json.loads(text)
    for name, message in document["components"]["messages"].items():
        message["contentType"] = CONTENT_TYPE
        message["correlationId"] = {"location": "$message.payload#/correlationid"}
        message["payload"] = {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": schema_file_name(name)}}
    del document["components"]["schemas"]
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the document, or with `--check` exit 1 when it is out of date."""
    parser = argparse.ArgumentParser(prog="python -m notifier.document", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is out of date")
    options = parser.parse_args(arguments)
    path: Path = options.folder / FILE_NAME
    wanted = asyncapi_document()
    if path.is_file() and path.read_text(encoding="utf-8") == wanted:
        return 0
    if options.check:
        sys.stderr.write(f"{path}: out of date; run python -m notifier.document {options.folder}\n")
        return 1
    path.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
