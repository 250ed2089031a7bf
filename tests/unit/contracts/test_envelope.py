"""The CloudEvents envelope: names, types, and what its validation refuses."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.codec import DECODE_ERRORS, encode, fault_of
from contracts.envelope import CloudEvent, cloud_event_type, event_decoder, event_name, name_of_any_version
from contracts.events.accounts import ThresholdsChanged
from contracts.events.registry import LEDGER_EVENTS, USAGE_RECORDED
from contracts.events.usage import UsageRecorded
from contracts.limits import MAX_INTEGER
from contracts.usage import Outcome, TokenUsage, UsageSource
from hypothesis import given as for_all
from hypothesis import strategies as st

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
USAGE: dict[str, Any] = {
    "reservation_id": "r1",
    "model": "gpt-5",
    "endpoint": "/v1/chat/completions",
    "usage": {"prompt_tokens": 10, "completion_tokens": 5},
    "usage_source": "provider",
    "outcome": "completed",
    "status": 200,
    "started_at": "2026-01-10T12:00:00Z",
    "duration_ms": 1500,
}


def message(**changes: Any) -> str:  # Any: each test breaks a field's type
    """A `usage.recorded` as it arrives; changes to the data, or to the envelope by `envelope=`."""
    envelope = changes.pop("envelope", {})
    return json.dumps(
        {
            "specversion": "1.0",
            "id": "0192e4a0-0000-7000-8000-000000000000",
            "type": "solaris.usage.recorded.v1",
            "source": "solaris/gateway",
            "subject": "person-1",
            "time": "2026-01-10T12:00:00Z",
            "data": USAGE | changes,
        }
        | envelope
    )


@pytest.mark.parametrize("name", [USAGE_RECORDED, *LEDGER_EVENTS])
def test_a_name_and_its_type_belong_together(name: str) -> None:
    assert event_name(cloud_event_type(name)) == name


@pytest.mark.parametrize(
    "foreign", ["", "solaris", "solaris.v1", "solaris..v1", "other.usage.recorded.v1", "solaris.usage.recorded.v2"]
)
def test_a_foreign_type_has_no_name(foreign: str) -> None:
    with pytest.raises(ValueError, match="not a Solaris event type"):
        event_name(foreign)


def test_an_event_of_a_newer_version_can_be_handed_on_under_its_name() -> None:
    assert name_of_any_version("solaris.ledger.usage_settled.v2") == "ledger.usage_settled"
    assert name_of_any_version("solaris.usage.recorded.v12") == "usage.recorded"
    with pytest.raises(ValueError, match="not a Solaris event type"):
        name_of_any_version("solaris.ledger.usage settled.v2")


def test_a_message_is_read_into_its_types() -> None:
    event = event_decoder(UsageRecorded).decode(message())
    assert event == CloudEvent(
        id="0192e4a0-0000-7000-8000-000000000000",
        type="solaris.usage.recorded.v1",
        source="solaris/gateway",
        subject="person-1",
        time=NOW,
        data=UsageRecorded(
            reservation_id="r1",
            model="gpt-5",
            endpoint="/v1/chat/completions",
            usage=TokenUsage(prompt_tokens=10, completion_tokens=5),
            usage_source=UsageSource.PROVIDER,
            outcome=Outcome.COMPLETED,
            status=200,
            started_at=NOW,
            duration_ms=1500,
        ),
    )


def test_what_is_written_is_structured_json() -> None:
    event = CloudEvent(
        id="1",
        type=cloud_event_type("ledger.thresholds_changed"),
        source="solaris/ledger",
        subject="person-1",
        time=NOW,
        data=ThresholdsChanged(thresholds=(80, 90)),
        correlationid="r1",
    )
    assert json.loads(encode(event)) == {
        "id": "1",
        "type": "solaris.ledger.thresholds_changed.v1",
        "source": "solaris/ledger",
        "subject": "person-1",
        "time": "2026-01-10T12:00:00Z",
        "data": {"thresholds": [80, 90], "reason_id": None, "actor": None},
        "correlationid": "r1",
        "causationid": None,
        "specversion": "1.0",
        "datacontenttype": "application/json",
    }


def test_fields_of_a_later_version_are_read_over() -> None:
    assert event_decoder(UsageRecorded).decode(message(added_later=1)).data.reservation_id == "r1"


@pytest.mark.parametrize(
    "changes",
    [
        {"usage": {"prompt_tokens": -1}},
        {"usage": {"prompt_tokens": 1.5}},
        {"usage": {"prompt_tokens": MAX_INTEGER + 1}},
        {"usage": {"completion_tokens": 10**30}},
        {"usage": {"completion_tokens": None}},
        {"usage": None},
        {"duration_ms": float("nan")},
        {"duration_ms": float("inf")},
        {"duration_ms": -1},
        {"reservation_id": ""},
        {"reservation_id": "r1\n"},
        {"reservation_id": "x" * 129},
        {"model": "x" * 257},
        {"model": "\ud800"},
        {"outcome": "lost"},
        {"usage_source": "guess"},
        {"status": 1_000},
        {"started_at": "yesterday"},
        {"started_at": "2026-01-10T12:00:00"},
        {"started_at": 1_768_046_400},
        {"model": "a\x00b"},
        {"observed": 1},
        {"envelope": {"subject": "person-1\n"}},
        {"envelope": {"subject": "not an id"}},
        {"envelope": {"specversion": "2.0"}},
        {"envelope": {"time": None}},
        {"envelope": {"data": []}},
    ],
)
def test_what_breaks_the_contract_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DECODE_ERRORS):
        event_decoder(UsageRecorded).decode(message(**changes))


@pytest.mark.parametrize("field", sorted(USAGE))
def test_no_field_of_usage_is_optional_by_accident(field: str) -> None:
    data = {name: value for name, value in USAGE.items() if name != field}
    with pytest.raises(DECODE_ERRORS):
        event_decoder(UsageRecorded).decode(message(envelope={"data": data}))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0",
        b"\xff",
        b"[]",
        b"null",
        b'{"id":"\xff"}',
        b'{"id":' + b"[" * 100_000,
        message(model="x").encode().replace(b'"x"', b'"\xed\xa0\x80"'),
        message(duration_ms=1).encode().replace(b'"duration_ms": 1', b'"duration_ms": ' + b"9" * 100_000),
    ],
)
def test_what_no_service_of_ours_sends_is_refused_by_errors_that_readers_expect(payload: bytes) -> None:
    with pytest.raises(DECODE_ERRORS) as refused:
        event_decoder(UsageRecorded).decode(payload)
    assert 0 < len(fault_of(refused.value)) < 200


@for_all(st.data())
def test_a_damaged_message_is_read_or_refused(data: st.DataObject) -> None:
    payload = bytearray(message().encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(payload) - 1))
        payload[at : at + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=4))
    with contextlib.suppress(*DECODE_ERRORS):
        assert event_decoder(UsageRecorded).decode(bytes(payload)).data.duration_ms >= 0


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"usage": {"prompt_tokens": -1}}, "Expected `int` >= 0 - at `$.data.usage.prompt_tokens`"),
        ({"outcome": "ana@example.com" * 1_000}, "Invalid enum value - at `$.data.outcome`"),
        ({"outcome": "\n - at `$.data`'"}, "Invalid enum value - at `$.data.outcome`"),
        ({"envelope": {"specversion": "ana"}}, "Invalid enum value - at `$.specversion`"),
    ],
)
def test_a_fault_names_its_place_and_does_not_quote_what_came(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(DECODE_ERRORS) as refused:
        event_decoder(UsageRecorded).decode(message(**changes))
    assert fault_of(refused.value) == fault
