"""What makes two reserves of one id the same, also between processes of two versions."""

from dataclasses import fields, make_dataclass, replace
from datetime import UTC, datetime

from contracts.reservations import ReserveTokens
from ledger.application.content import content_hash, reserve_hash
from pydantic import TypeAdapter

REQUEST = ReserveTokens(
    reservation_id="r",
    account_id="ana",
    model="m",
    endpoint="/v1/chat/completions",
    prompt_tokens=10,
    deadline=datetime(2026, 1, 1, tzinfo=UTC),
    model_output_tokens=8_192,
)


def test_a_repetition_with_other_thinking_is_another_content() -> None:
    assert reserve_hash(replace(REQUEST, thinking_tokens=1)) != reserve_hash(REQUEST)


def test_without_thinking_the_content_is_what_it_was_before_thinking_was_told() -> None:
    before = content_hash(("m", "/v1/chat/completions", 10, None, 8_192, 1, False))
    assert reserve_hash(REQUEST) == before


def test_a_ledger_that_does_not_know_of_thinking_reads_the_rest() -> None:
    known = [(each.name, each.type, each) for each in fields(ReserveTokens) if each.name != "thinking_tokens"]
    older = make_dataclass("Older", known, frozen=True, kw_only=True)
    told = TypeAdapter(ReserveTokens).dump_json(replace(REQUEST, thinking_tokens=20_000))
    assert TypeAdapter(older).validate_json(told) == older(**{name: getattr(REQUEST, name) for name, _, _ in known})
