"""The CloudEvents 1.0 envelope (JSON, structured mode) that every published event wears."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final, Literal

from pydantic import TypeAdapter

from contracts.accounts import AccountId

CONTENT_TYPE: Final = "application/cloudevents+json"
MESSAGE_ID_HEADER: Final = "Nats-Msg-Id"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent[Data]:
    """`id` a UUIDv7, `subject` the account id, `correlationid` the request id, `causationid` the causing message."""

    id: str
    type: str
    source: str
    subject: AccountId
    time: datetime
    data: Data
    correlationid: str | None = None
    causationid: str | None = None
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: Literal["application/json"] = "application/json"


def cloud_event_type(name: str) -> str:
    """`ledger.usage_settled` → `solaris.ledger.usage_settled.v1`."""
    return f"solaris.{name}.v1"


def event_name(cloud_event_type: str) -> str:
    """`solaris.ledger.usage_settled.v1` → `ledger.usage_settled`.

    Raises:
        ValueError: the type is not one of ours.
    """
    prefix, _, rest = cloud_event_type.partition(".")
    name, _, version = rest.rpartition(".")
    if prefix != "solaris" or version != "v1" or not name:
        raise ValueError(f"not a Solaris event type: {cloud_event_type}")
    return name


@cache
def event_adapter[Data](data_type: type[Data]) -> TypeAdapter[CloudEvent[Data]]:
    """Validates (`validate_json`) and writes (`dump_json`) the envelope around one type of data."""
    return TypeAdapter(CloudEvent[data_type])  # type: ignore[valid-type]  # the parameter is a runtime type
