"""What makes two reserves of one id the same, also between processes of two versions."""

from hashlib import blake2b

from contracts.codec import encode
from contracts.reservations import ReserveRequest
from ledger.application.content import content_hash, reserve_hash, usage_hash
from msgspec import defstruct, json
from msgspec.structs import asdict, fields, replace

from tests.support.gateway_messages import reserve_request, usage_recorded

REQUEST = reserve_request(
    "ana", "r", model="m", prompt_tokens=10, maximum_output_tokens=None, model_output_tokens=8_192
)


def test_a_repetition_with_other_thinking_is_another_content() -> None:
    assert reserve_hash(replace(REQUEST, thinking_tokens=1)) != reserve_hash(REQUEST)


def test_without_thinking_the_content_is_what_it_was_before_thinking_was_told() -> None:
    before = content_hash(("m", "/v1/chat/completions", 10, None, 8_192, 1, False))
    assert reserve_hash(REQUEST) == before


def test_a_ledger_that_does_not_know_of_thinking_reads_the_rest() -> None:
    known = [each for each in fields(ReserveRequest) if each.name != "thinking_tokens"]
    older = defstruct(
        "Older", [(each.name, each.type) if each.required else (each.name, each.type, each.default) for each in known]
    )
    read = json.decode(encode(replace(REQUEST, thinking_tokens=20_000)), type=older)
    assert asdict(read) == {each.name: getattr(REQUEST, each.name) for each in known}


def test_an_end_of_a_reservation_is_the_same_content_for_every_version() -> None:
    usage = usage_recorded("r", prompt=10, completion=5, model="m")
    told = (
        b'["m","/v1/chat/completions",{"prompt_tokens":10,"cached_prompt_tokens":0,"cache_write_tokens":0,'
        b'"completion_tokens":5,"reasoning_tokens":0},"provider","completed"]'
    )
    assert usage_hash(usage) == blake2b(told, digest_size=16).hexdigest()
