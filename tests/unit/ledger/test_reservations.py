"""The hold rule: what a call holds at worst, and how much output is granted."""

import pytest
from contracts.errors import RefusalCode
from contracts.events.reservations import TokensReserved
from contracts.limits import MAX_INTEGER
from contracts.reads import BalanceAnswer
from contracts.reservations import ReserveAnswer
from hypothesis import given as for_all
from hypothesis import strategies as st
from ledger.domain.commands import Command
from ledger.domain.reservations import offer_for
from msgspec import json

from tests.unit.ledger.story import (
    CATALOG,
    POLICY,
    START,
    Story,
    grant,
    granted,
    limit,
    not_forwarded,
    opened,
    refused,
    reserve,
    settle,
    used,
)


def test_hold_is_prompt_and_the_clients_own_maximum() -> None:
    story = Story()
    answer = granted(story.when(reserve("r1", prompt=100, maximum=50)))
    assert (answer.held_tokens, answer.output_tokens, answer.write_maximum) == (150, 50, False)
    assert answer.available == story.balance.available == 9_850
    assert story.balance.held == 150


def test_catalogs_model_maximum_is_granted_unwritten() -> None:
    answer = granted(Story().when(reserve("r1", prompt=100, model="known", model_maximum=77)))
    assert (answer.held_tokens, answer.output_tokens, answer.write_maximum) == (1_100, 1_000, False)


@pytest.mark.parametrize(
    ("thinking", "by_gateway", "output"),
    [
        (2_000, None, 3_000),  # beside the catalog's
        (2_000, 2_500, 3_000),
        (2_000, 6_000, 6_000),  # the gateway's has it already
        (0, 3_000, 3_000),
    ],
)
def test_the_larger_maximum_of_catalog_and_gateway_is_held_and_thinking_beside_it(
    thinking: int, by_gateway: int | None, output: int
) -> None:
    answer = granted(Story().when(reserve("r1", prompt=100, thinking=thinking, model_maximum=by_gateway)))
    assert (answer.held_tokens, answer.output_tokens, answer.write_maximum) == (100 + output, output, False)


def test_the_clients_own_maximum_has_its_thinking_already() -> None:
    answer = granted(Story().when(reserve("r1", prompt=100, maximum=5_000, thinking=3_000)))
    assert (answer.held_tokens, answer.output_tokens) == (5_100, 5_000)


def test_gateways_model_maximum_counts_where_the_catalog_has_none() -> None:
    answer = granted(Story().when(reserve("r1", prompt=100, model="unlisted", model_maximum=2_000)))
    assert (answer.held_tokens, answer.output_tokens, answer.write_maximum) == (2_100, 2_000, False)


@pytest.mark.parametrize("nonsense", [None, 0])
def test_unbounded_output_is_bounded_and_written(nonsense: int | None) -> None:
    story = Story().given(limit(100_000))
    answer = granted(story.when(reserve("r1", prompt=100, model="unlisted", model_maximum=nonsense)))
    assert (answer.held_tokens, answer.output_tokens, answer.write_maximum) == (16_484, 16_384, True)


def test_own_maximum_of_zero_holds_the_prompt_alone() -> None:
    answer = granted(Story().when(reserve("r1", prompt=100, maximum=0, model="unlisted")))
    assert (answer.held_tokens, answer.output_tokens, answer.write_maximum) == (100, 0, False)


def test_absurd_maximum_is_clamped() -> None:
    answer = granted(Story().when(reserve("r1", prompt=100, maximum=2**53, choices=16)))
    assert (answer.output_tokens, answer.write_maximum) == (309, True)  # half of 9,900 over 16 choices
    assert answer.held_tokens == 100 + 16 * 309


def test_output_is_held_once_per_choice() -> None:
    assert granted(Story().when(reserve("r1", prompt=100, maximum=50, choices=3))).held_tokens == 250


def test_embeddings_hold_the_prompt_alone() -> None:
    answer = granted(Story().when(reserve("r1", prompt=100, output_free=True, model="unlisted")))
    assert (answer.held_tokens, answer.output_tokens, answer.write_maximum) == (100, 0, False)


def test_embeddings_beyond_the_balance_are_refused() -> None:
    answer = refused(Story().when(reserve("r1", prompt=10_001, output_free=True)))
    assert answer.figures is not None
    assert answer.figures.needed == 10_001


def test_prompt_is_held_at_its_highest_class_weight_and_output_at_its_own() -> None:
    story = Story()
    answer = granted(story.when(reserve("r1", prompt=101, maximum=10, model="weighted")))
    assert answer.held_tokens == 84  # ceil(101 x 0.625 + 10 x 2) = ceil(83.125)
    (reserved,) = story.happened(TokensReserved)
    assert reserved.rates == CATALOG.model("weighted").rates


def test_hold_is_rounded_up_once() -> None:
    # 0.625 of a prompt token and 2 of an output token: 2.625, not 1 + 2 rounded apart to something larger.
    assert granted(Story().when(reserve("r1", prompt=1, maximum=1, model="weighted"))).held_tokens == 3


def test_free_output_is_granted_without_weight() -> None:
    answer = granted(Story().when(reserve("r1", prompt=10_000, maximum=5_000, model="free-output")))
    assert (answer.held_tokens, answer.output_tokens) == (10_000, 5_000)


def test_free_output_is_refused_when_the_prompt_does_not_fit() -> None:
    answer = refused(Story().when(reserve("r1", prompt=10_001, maximum=5_000, model="free-output")))
    assert answer.code is RefusalCode.INSUFFICIENT_TOKENS


def test_exact_fit_is_granted_unclamped() -> None:
    story = Story().given(limit(1_100))
    answer = granted(story.when(reserve("r1", prompt=100)))
    assert (answer.held_tokens, answer.output_tokens, answer.write_maximum) == (1_100, 1_000, False)
    assert story.balance.available == 0


def test_one_token_short_clamps_to_half_and_writes_it() -> None:
    answer = granted(Story().given(limit(1_099)).when(reserve("r1", prompt=100)))
    assert (answer.output_tokens, answer.held_tokens, answer.write_maximum) == (499, 599, True)


def test_clamp_never_exceeds_the_default_output() -> None:
    answer = granted(Story().given(limit(16_000)).when(reserve("r1", prompt=100, model="unlisted")))
    assert (answer.output_tokens, answer.write_maximum) == (4_096, True)


def test_clamp_grants_at_least_the_minimum() -> None:
    answer = granted(Story().given(limit(400)).when(reserve("r1", prompt=100)))
    assert (answer.output_tokens, answer.held_tokens) == (256, 356)


def test_clamp_may_take_the_very_last_token() -> None:
    story = Story().given(limit(356))
    assert granted(story.when(reserve("r1", prompt=100))).held_tokens == 356
    assert story.balance.available == 0


def test_less_than_the_minimum_is_refused() -> None:
    answer = refused(Story().given(limit(355)).when(reserve("r1", prompt=100)))
    assert answer.figures is not None
    assert (answer.figures.available, answer.figures.needed) == (355, 356)


def test_clients_smaller_maximum_lowers_the_minimum() -> None:
    story = Story().given(limit(110))
    answer = granted(story.when(reserve("r1", prompt=100, maximum=10)))
    assert (answer.held_tokens, answer.output_tokens, answer.write_maximum) == (110, 10, False)
    refusal = refused(story.when(reserve("r2", prompt=100, maximum=10)))
    assert refusal.figures is not None
    assert refusal.figures.needed == 110


def test_clamp_reckons_with_choices_and_weights() -> None:
    # 4,000 left; prompt 1,000 x 0.625 = 625; output of 2 choices weighs 4: (4,000 - 625) / 4 = 843, half 421.
    answer = granted(Story().given(limit(4_000)).when(reserve("r1", prompt=1_000, choices=2, model="weighted")))
    assert (answer.output_tokens, answer.held_tokens) == (421, 625 + 421 * 4)


def test_seven_hundred_left_serve_clamped_answers_until_one_is_refused() -> None:
    story = Story().given(limit(700))
    outputs = []
    for number in range(10):
        answer = story.when(reserve(f"r{number}", prompt=20, model="unlisted"))
        if not hasattr(answer, "output_tokens"):
            break
        outputs.append(granted(answer).output_tokens)
        story.given(settle(f"r{number}", prompt=20, completion=outputs[-1]))
        assert story.balance.available >= 0
    assert outputs == [340, 256]
    assert refused(answer).code is RefusalCode.INSUFFICIENT_TOKENS
    assert story.balance.available == 64
    assert story.balance.debt == 0


def test_three_thousand_left_serve_chat_and_parallel_title() -> None:
    story = Story().given(limit(3_000))
    chat = granted(story.when(reserve("chat", prompt=500, model="unlisted")))
    title = granted(story.when(reserve("title", prompt=600, model="unlisted")))
    assert (chat.output_tokens, title.output_tokens) == (1_250, 325)
    assert story.balance.available >= 0


def test_credits_count_into_what_is_left() -> None:
    story = Story().given(opened(), *used("r0", 9_900), grant("lot", 1_000))
    assert granted(story.when(reserve("r1", prompt=100))).held_tokens == 1_100
    assert story.balance.available == 0


def test_open_holds_count_against_what_is_left() -> None:
    story = Story().given(reserve("r1", prompt=9_900, output_free=True))
    assert refused(story.when(reserve("r2", prompt=101, output_free=True))).code is RefusalCode.INSUFFICIENT_TOKENS
    story.given(not_forwarded("r1"))
    assert granted(story.when(reserve("r2b", prompt=101, output_free=True)))


def test_two_hundred_calls_at_once_on_a_balance_for_ten() -> None:
    story = Story().given(limit(11_000))
    answers = [story.when(reserve(f"r{number}", prompt=100, maximum=1_000)) for number in range(200)]
    assert sum(hasattr(answer, "held_tokens") for answer in answers) >= 10
    assert story.balance.available >= 0
    assert story.balance.held == 11_000 - story.balance.available


def test_hold_records_deadline_and_catalog_version() -> None:
    story = Story().given(reserve("r1", prompt=1))
    (reserved,) = story.logged(TokensReserved)
    assert reserved.expires_at == START + POLICY.hold_ttl
    assert (reserved.catalog_version, reserved.cycle_id) == ("2026-01", "2026-01-10")


@for_all(
    available=st.integers(-100, 50_000),
    prompt=st.integers(0, 20_000),
    maximum=st.none() | st.integers(0, 30_000),
    model_maximum=st.none() | st.integers(0, 30_000),
    thinking=st.integers(0, 30_000),
    choices=st.integers(1, 16),
    model=st.sampled_from(["known", "weighted", "unlisted", "free-output"]),
    output_free=st.booleans(),
)
def test_an_offer_never_exceeds_what_is_available(
    *,
    available: int,
    prompt: int,
    maximum: int | None,
    model_maximum: int | None,
    thinking: int,
    choices: int,
    model: str,
    output_free: bool,
) -> None:
    command = reserve(
        "r1",
        prompt=prompt,
        maximum=maximum,
        model_maximum=model_maximum,
        thinking=thinking,
        choices=choices,
        output_free=output_free,
    )
    rates = CATALOG.model(model).rates
    offer = offer_for(available, command, CATALOG.model(model), POLICY)
    if offer.tokens is None:
        assert offer.needed > available
        return
    assert offer.needed <= offer.tokens <= available or offer.tokens == offer.needed <= available
    worst_prompt = prompt * max(
        rates.prompt_weight_millionths, rates.cached_prompt_weight_millionths, rates.cache_write_weight_millionths
    )
    worst = worst_prompt + offer.output_tokens * choices * rates.completion_weight_millionths
    assert (offer.tokens - 1) * 1_000_000 < worst <= offer.tokens * 1_000_000
    if maximum is not None:
        assert offer.output_tokens <= maximum
    if maximum is None and not output_free and not offer.write_maximum:
        assert offer.output_tokens > 0


@pytest.mark.parametrize("largest", [(), (limit(MAX_INTEGER),), (limit(MAX_INTEGER), grant("lot", MAX_INTEGER))])
def test_every_answer_is_within_what_its_reader_takes(largest: tuple[Command, ...]) -> None:
    story = Story().given(opened(), *largest)
    asked = reserve("r1", prompt=100, maximum=100)
    answers = [
        ReserveAnswer(granted=granted(story.when(asked))),
        ReserveAnswer(granted=granted(story.when(asked))),
        BalanceAnswer(balance=story.balance),
    ]
    for answer in answers:
        assert json.decode(json.encode(answer), type=type(answer)) == answer
