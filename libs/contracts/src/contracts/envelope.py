"""The CloudEvents 1.0 envelope (JSON, structured mode) that every published event wears."""

import re
from functools import cache, lru_cache
from typing import Final, Literal

from msgspec import Struct, json

from contracts.accounts import AccountId
from contracts.limits import StoredMoment

CONTENT_TYPE: Final = "application/cloudevents+json"
_TYPE: Final = re.compile(r"solaris\.(?P<name>[a-z0-9_]+(\.[a-z0-9_]+)*)\.v[1-9][0-9]*")
MESSAGE_ID_HEADER: Final = "Nats-Msg-Id"


class CloudEvent[Data](Struct, frozen=True, kw_only=True):
    """`id` a UUIDv7, `subject` the account id, `correlationid` the request id, `causationid` the causing message."""

    id: str
    type: str
    source: str
    subject: AccountId
    time: StoredMoment
    data: Data
    correlationid: str | None = None
    causationid: str | None = None
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: Literal["application/json"] = "application/json"


def cloud_event_type(name: str) -> str:
    """`ledger.usage_settled` → `solaris.ledger.usage_settled.v1`."""
    return f"solaris.{name}.v1"


def event_name(cloud_event_type: str) -> str:
    """`solaris.ledger.usage_settled.v1` → `ledger.usage_settled`, for whoever reads what such an event says.

    Raises:
        ValueError: the type is not one of ours, or of another version.
    """
    name = name_of_any_version(cloud_event_type)
    if not cloud_event_type.endswith(".v1"):
        raise ValueError(f"not a Solaris event type that is known here: {cloud_event_type}")
    return name


@lru_cache(maxsize=256)
def name_of_any_version(cloud_event_type: str) -> str:
    """As `event_name`, for whoever hands events on unread: a log may hold those of a newer version.

    Raises:
        ValueError: the type is not one of ours.
    """
    found = _TYPE.fullmatch(cloud_event_type)
    if found is None:
        raise ValueError(f"not a Solaris event type: {cloud_event_type}")
    return found["name"]


@cache
def event_decoder[Data](data_type: type[Data]) -> json.Decoder[CloudEvent[Data]]:
    """Reads the envelope around one type of data, and checks both; it raises what `codec.DECODE_ERRORS` are."""
    return json.Decoder(CloudEvent[data_type])  # type: ignore[valid-type]  # the parameter is a runtime type
