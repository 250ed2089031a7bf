"""The register of events: complete, named by one rule, free of personal data."""

import re
from typing import get_args

import pytest
from contracts.events.registry import LEDGER_EVENT_NAMES, LEDGER_EVENTS, LedgerEvent
from contracts.events.usage import UsageRecorded
from contracts.usage import Outcome, UsageSource
from msgspec import Struct
from msgspec.structs import fields

PERSONAL = re.compile(r"(e_?mail|name|phone|address|locale|prompt$|content$|message|reason$)")


def test_every_ledger_event_is_registered_once() -> None:
    assert set(LEDGER_EVENTS.values()) == set(get_args(LedgerEvent))
    assert len(LEDGER_EVENT_NAMES) == len(LEDGER_EVENTS)


@pytest.mark.parametrize(("name", "event_type"), LEDGER_EVENTS.items())
def test_the_name_is_the_type_s_in_snake_case(name: str, event_type: type) -> None:
    assert name == "ledger." + re.sub(r"(?<!^)(?=[A-Z])", "_", event_type.__name__).lower()


@pytest.mark.parametrize("event_type", [UsageRecorded, *LEDGER_EVENTS.values()])
def test_events_are_frozen_and_carry_no_personal_data(event_type: type[Struct]) -> None:
    assert event_type.__struct_config__.frozen
    names = [field.name for field in fields(event_type)]
    assert [name for name in names if PERSONAL.search(name)] == []


@pytest.mark.parametrize(
    ("name", "relied_on"),
    [
        ("ledger.tokens_reserved", "reservation_id tokens"),
        ("ledger.reservation_released", "reservation_id tokens"),
        ("ledger.reservation_expired", "reservation_id tokens"),
        (
            "ledger.usage_settled",
            "reservation_id usage billable_tokens from_allowance from_credits to_debt cost_usd_micros catalog_version"
            " cycle_id",
        ),
        ("ledger.credits_granted", "lot_id tokens source reference"),
        ("ledger.credits_revoked", "lot_id tokens reference"),
        ("ledger.threshold_crossed", "percent monthly_used monthly_limit cycle_id"),
    ],
)
def test_what_others_rely_on_is_there(name: str, relied_on: str) -> None:
    assert set(relied_on.split()) <= {field.name for field in fields(LEDGER_EVENTS[name])}


def test_usage_carries_what_others_rely_on() -> None:
    names = {field.name for field in fields(UsageRecorded)}
    assert names >= {
        "reservation_id",
        "model",
        "endpoint",
        "usage",
        "usage_source",
        "outcome",
        "status",
        "started_at",
        "duration_ms",
        "first_token_ms",
        "estimated_prompt_tokens",
        "conversation_id",
    }
    assert {str(source) for source in UsageSource} == {"provider", "provider_repaired", "estimated", "none"}
    assert {str(outcome) for outcome in Outcome} == {
        "completed",
        "client_disconnected",
        "upstream_error",
        "interrupted",
        "not_forwarded",
    }
