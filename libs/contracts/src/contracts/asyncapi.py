"""The AsyncAPI document of all events: who publishes each, and who reads it by which consumer, or without one."""

from typing import Any, Final

from contracts.envelope import CONTENT_TYPE, cloud_event_type
from contracts.events.registry import EVENTS
from contracts.subjects import BALANCE_FALLS, PUBLISHERS, event_subject
from contracts.topology import CONSUMERS, Consumer

FILE_NAME: Final = "solaris.asyncapi.json"
_SCHEMA_FORMAT: Final = "application/schema+json;version=draft-2020-12"


def asyncapi_document(schema_files: dict[str, str]) -> dict[str, Any]:
    """`schema_files` are the JSON Schemas beside the document, by the event's name."""
    published = {f"publish.{name}": _operation("send", name, PUBLISHERS[name.partition(".")[0]]) for name in EVENTS}
    read = {
        f"read.{name}.{consumer.durable_name}": {
            **_operation("receive", name, consumer.durable_name.partition("-")[0]),
            "summary": f"By the durable consumer {consumer.durable_name} of the stream {consumer.stream}.",
        }
        for consumer in CONSUMERS
        for name in EVENTS
        if _reads(consumer, name)
    }
    heard = {
        f"hear.{name}.billing": {
            **_operation("receive", name, "billing"),
            "summary": "By plain subscriptions, each of one account with auto top-up.",
        }
        for name in BALANCE_FALLS
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Solaris events",
            "version": "1",
            "description": "Each operation is of the service that its tag names.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {name: _channel(name) for name in EVENTS},
        "operations": published | read | heard,
        "components": {"messages": {name: _message(name, schema_files[name]) for name in EVENTS}},
    }


def _channel(name: str) -> dict[str, Any]:
    return {
        "address": event_subject(name, "{account}"),
        "parameters": {"account": {"description": "The account's subject token."}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
    }


def _operation(action: str, name: str, service: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
        "tags": [{"name": service}],
    }


def _message(name: str, schema_file: str) -> dict[str, Any]:
    return {
        "name": cloud_event_type(name),
        "correlationId": {"location": "$message.payload#/correlationid"},
        "payload": {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$ref": schema_file}},
    }


def _reads(consumer: Consumer, name: str) -> bool:
    return event_subject(name, "*") in consumer.filter_subjects
