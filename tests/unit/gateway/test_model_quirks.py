"""What is learned of a model from its refusal, and what a client's words in it can't teach."""

import json

import pytest
from gateway.domain.model_quirks import Quirks, Written, learn

WRITTEN = Written(maximum_name="max_tokens", maximum=16_384)
USAGE = Written(stream_options=True)


def refusal(message: str, param: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", "param": param}}).encode()


@pytest.mark.parametrize(
    ("said", "largest"),
    [
        (refusal("max_tokens is too large: 16384. This model supports at most 8192 completion tokens"), 8_192),
        (refusal("max_tokens: 16384 > 4096, which is the maximum allowed number of output tokens for claude-3"), 4_096),
        (refusal("gpt-4o-2024-08-06: max_tokens must be <= 1024", "max_tokens"), 1_024),
        (refusal("Range of max_tokens should be [1, 8,192]; got 16,384"), 8_192),
    ],
)
def test_the_largest_maximum_is_read_from_the_refusal(said: bytes, largest: int) -> None:
    assert learn(Quirks(), said, WRITTEN) == Quirks(largest_maximum=largest)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (
            refusal("Invalid value: 'max_tokens 300'. Supported values are: 'system', 'user'", "messages[0].role"),
            WRITTEN,
        ),
        (refusal("Invalid value: 'max_tokens 300'"), WRITTEN),
        (refusal("bad tool name 'stream_options'", "tools[0].function.name"), USAGE),
        (refusal("This model's maximum context length is 8192 tokens; you requested 16384", "messages"), WRITTEN),
        (refusal("max_tokens is too large: 16384"), WRITTEN),
        (b"<html>max_tokens</html>", WRITTEN),
        (refusal("stream_options is not supported"), WRITTEN),
    ],
)
def test_what_is_about_something_else_teaches_nothing(said: bytes, written: Written) -> None:
    assert learn(Quirks(), said, written) is None
