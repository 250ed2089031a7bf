"""Whatever a body says, no upstream that does all that it says writes more than the ledger holds for it."""

import json
import os
from typing import Any

import msgspec
from gateway.domain.chat_request import parse_chat_request
from gateway.domain.errors import InvalidRequestError
from gateway.domain.forwarded_body import forwarded_body, to_write
from gateway.domain.model_families import model_family
from gateway.domain.model_quirks import Quirks
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from ledger.domain.catalog import UNLISTED_MODEL, Catalog
from ledger.domain.policy import Policy
from ledger.domain.reservations import offer_for

from tests.support.ledger_commands import reserve_tokens


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


BODIES = int(os.environ.get("SOLARIS_OVERSPEND_BODIES", "2000"))
POLICY = Policy(catalog=Catalog(version="1", plans={}, models=()))
PROMPT_TOKENS = 10

# What upstreams are reported to read, the odd ones at the top alone.
TAKEN_BY_ALL = ("max_tokens", "max_completion_tokens")
MAXIMA = (
    *TAKEN_BY_ALL,
    *words("max_output_tokens max_new_tokens max_gen_len max_tokens_to_sample maxOutputTokens maxTokens n_predict"),
    *words("num_predict MAX_TOKENS max-tokens MaxTokens Max_New_Tokens"),
)
TOP_MAXIMA = words(
    "max_length max_decode_tokens maximum_tokens tokens_to_generate num_tokens output_length max_response_tokens"
)
BUDGETS = words("budget_tokens thinking_budget thinkingBudget reasoning_budget max_thinking_tokens")
TOP_BUDGETS = words("thinking_tokens reasoning_tokens max_reasoning_tokens thinking-budget-tokens")
CHOICES = words("n best_of num_return_sequences candidate_count candidateCount num_generations bestOf")
TOP_CHOICES = words("num_samples num_completions n_choices sample_count number_of_responses")
NEVER_PARAMETERS = {
    *words("messages tools functions response_format guided_json structured_outputs metadata prediction"),
}
CONTAINERS = (
    *words("options generation_config generationConfig parameters reasoning thinking thinking_config thinkingConfig"),
    *words("chat_template_kwargs sampling_params provider output_config web_search_options plugins brand_new x"),
    *words("stream_options audio response_format guided_json metadata tools"),
)
OTHERS = words("temperature stop user seed top_p min_tokens reasoning_effort stream max_input_tokens num_ctx")
NAMES = (*MAXIMA, *BUDGETS, *CHOICES)

numbers = st.one_of(st.integers(1, 16), st.integers(1, 200_000), st.sampled_from([0, -1, 17, 10_000_000, 2**70]))
odd_values: st.SearchStrategy[Any] = st.sampled_from([None, True, 1.5, 5e4, "50000", "auto", "", [], {}, [50_000]])
plain = st.one_of(numbers, numbers, numbers, numbers, odd_values)
sensible = st.one_of(st.none(), st.integers(1, 16))


def objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    inner = st.lists(st.tuples(st.sampled_from((*NAMES, *CONTAINERS, "effort")), values), max_size=3).map(dict)
    return inner | st.lists(inner, max_size=2)


flat = objects(sensible | st.integers(1, 200_000))
nested = objects(sensible | flat | st.integers(1, 200_000))
any_nested = objects(plain | nested)
pairs = st.one_of(
    st.tuples(st.sampled_from((*MAXIMA, *TOP_MAXIMA)), st.integers(1, 200_000)),
    st.tuples(st.sampled_from((*BUDGETS, *TOP_BUDGETS)), st.integers(0, 200_000)),
    st.tuples(st.sampled_from((*CHOICES, *TOP_CHOICES)), st.integers(1, 16)),
    st.tuples(st.sampled_from(CONTAINERS), nested),
    st.tuples(st.sampled_from((*NAMES, *TOP_MAXIMA, *TOP_BUDGETS, *TOP_CHOICES, *OTHERS)), plain),
    st.tuples(st.sampled_from((*CONTAINERS, *NAMES)), any_nested),
)
known_names = st.sets(st.sampled_from((*NAMES, *TOP_MAXIMA, *TOP_BUDGETS, *TOP_CHOICES))) | st.just(
    {*NAMES, *TOP_MAXIMA, *TOP_BUDGETS, *TOP_CHOICES}
)


def encoded(given_pairs: list[tuple[str, Any]]) -> bytes:
    """A body in which a name may stand more than once."""
    always = [("model", "some-model"), ("messages", [{"role": "user", "content": "hi", "max_tokens": 9}])]
    members = (f"{json.dumps(name)}:{json.dumps(value)}" for name, value in (*always, *given_pairs))
    return ("{" + ",".join(members) + "}").encode()


class EagerUpstream:
    """Takes the largest of every maximum that it knows, each budget beside it, and its own maximum without one."""

    def __init__(self, known: set[str], own_maximum: int, *, budgets_in_reasoning: bool) -> None:
        self._known = known | set(TAKEN_BY_ALL)
        self._own_maximum = own_maximum
        self._budgets_in_reasoning = budgets_in_reasoning
        self._maxima: list[int] = []
        self._budgets: list[int] = []
        self._choices = [1]

    def output_tokens(self, body: bytes) -> int:
        fields = json.loads(body)
        for name, value in fields.items():
            self._read(name, value, top=True, reasoning=False)
        return (max(self._maxima, default=self._own_maximum) + sum(self._budgets)) * max(self._choices)

    def _read(self, name: str, value: Any, *, top: bool, reasoning: bool) -> None:
        if isinstance(value, dict):
            if not (top and name in NEVER_PARAMETERS):
                for key, inner in value.items():
                    self._read(key, inner, top=False, reasoning=reasoning or name == "reasoning")
        elif isinstance(value, list):
            for inner in value:
                if isinstance(inner, dict):
                    self._read(name, inner, top=top, reasoning=reasoning)
        elif name in self._known and (number := self._as_number(value)) is not None:
            self._honour(name, number, top=top, reasoning=reasoning)

    def _honour(self, name: str, number: int, *, top: bool, reasoning: bool) -> None:
        if name in BUDGETS or (top and name in TOP_BUDGETS):
            self._budgets.append(number)
        elif name in CHOICES or (top and name in TOP_CHOICES):
            self._choices.append(number)
        elif name in MAXIMA or (top and name in TOP_MAXIMA):
            (self._budgets if reasoning and self._budgets_in_reasoning else self._maxima).append(number)

    @staticmethod
    def _as_number(value: Any) -> int | None:
        if isinstance(value, bool) or value is None:
            return None
        try:
            return int(value)
        except ValueError:
            return None


@given(
    given_pairs=st.lists(pairs, max_size=6),
    available=st.integers(0, 400_000) | st.just(10**9),
    own_maximum=st.sampled_from([1_000, 8_192, 64_000]),
    own_maximum_is_known=st.booleans(),
    catalog_maximum=st.sampled_from([None, 500, 4_096, 8_192, 100_000]),
    lesson=st.sampled_from([None, None, 300, 8_192, 32_000]),
    known=known_names,
    budgets_in_reasoning=st.booleans(),
)
@settings(max_examples=BODIES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_accepted_body_makes_an_upstream_write_more_than_is_held(
    *,
    given_pairs: list[tuple[str, Any]],
    available: int,
    own_maximum: int,
    own_maximum_is_known: bool,
    catalog_maximum: int | None,
    lesson: int | None,
    known: set[str],
    budgets_in_reasoning: bool,
) -> None:
    try:
        request = parse_chat_request(encoded(given_pairs))
    except InvalidRequestError:
        event("refused")
        return
    if catalog_maximum is not None and not own_maximum_is_known and lesson is None:
        own_maximum = min(own_maximum, catalog_maximum)  # whoever alone says what a model writes is believed
    known_maximum = lesson or (own_maximum if own_maximum_is_known else None)
    command = reserve_tokens(
        "a",
        "r",
        model=request.model,
        prompt=PROMPT_TOKENS,
        maximum=request.maximum_output_tokens,
        model_output_tokens=None if known_maximum is None else known_maximum + request.thinking_tokens,
        thinking_tokens=request.thinking_tokens,
        choices=request.choices,
    )
    model = msgspec.structs.replace(UNLISTED_MODEL, max_output_tokens=catalog_maximum)
    offer = offer_for(available, command, model, POLICY)
    if offer.tokens is None:
        event("not enough")
        return
    event("clamped" if offer.write_maximum else "as it is")
    assert offer.tokens <= available
    granted_maximum = offer.output_tokens if offer.write_maximum else None
    quirks = Quirks(largest_maximum=lesson)
    body = forwarded_body(request, to_write(request, quirks, model_family(request.model).maximum_name, granted_maximum))
    upstream = EagerUpstream(known, own_maximum, budgets_in_reasoning=budgets_in_reasoning)
    written = upstream.output_tokens(body)
    assert written <= offer.output_tokens * request.choices
    assert PROMPT_TOKENS + written <= offer.tokens
