"""The prompt's estimate: never below what providers count, in texts, tools, images and files."""

import base64
import struct
import zlib
from typing import Any

import pytest
from gateway.domain.estimate import prompt_of, with_margin
from gateway.domain.images import data_url_size, image_tokens
from gateway.domain.model_families import Encoding, model_family
from gateway.tokenizers.counting import SLICE_CHARACTERS, count_tokens
from gateway.tokenizers.encodings import token_counter
from hypothesis import given, settings
from hypothesis import strategies as st


async def estimated(fields: dict[str, Any], model: str = "gpt-4o") -> int:
    family = model_family(model)
    prompt = prompt_of(fields, family)
    return with_margin(prompt.fixed_tokens + await count_tokens(prompt.texts, family.encoding), family)


def user(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


# Prompts with the counts that OpenAI's cookbook publishes ("How to count tokens with tiktoken"), for gpt-4o and gpt-4.
COOKBOOK_MESSAGES = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant "
        "that translates corporate jargon into plain English.",
    },
    {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
    {"role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue."},
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities "
        "for increased leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    },
]
COOKBOOK_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_current_weather",
            "description": "Get the current weather in a given location",
            "parameters": {
                "type": "object",
                "properties": {
                    "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
                    "unit": {
                        "type": "string",
                        "description": "The unit of temperature to return",
                        "enum": ["celsius", "fahrenheit"],
                    },
                },
                "required": ["location"],
            },
        },
    }
]
COOKBOOK_TOOL_MESSAGES = [
    {"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
    {"role": "user", "content": "What's the weather like in San Francisco?"},
]


@pytest.mark.parametrize(
    ("model", "counted"), [("gpt-4o", 124), ("gpt-4o-mini", 124), ("gpt-4", 129), ("gpt-3.5-turbo", 129)]
)
async def test_estimate_of_published_prompts_is_an_upper_bound_and_close(model: str, counted: int) -> None:
    estimate = await estimated({"messages": COOKBOOK_MESSAGES}, model)
    assert counted <= estimate <= counted * 1.1


@pytest.mark.parametrize(("model", "counted"), [("gpt-4o", 101), ("gpt-4", 105)])
async def test_estimate_of_published_tools_is_an_upper_bound(model: str, counted: int) -> None:
    assert (
        counted <= await estimated({"messages": COOKBOOK_TOOL_MESSAGES, "tools": COOKBOOK_TOOLS}, model) <= counted * 2
    )


async def test_other_families_get_a_margin() -> None:
    text = user("word " * 1000)
    assert await estimated(text, "claude-sonnet-4-5") >= await estimated(text, "gpt-4o") * 1.19


async def test_everything_that_becomes_prompt_is_counted() -> None:
    base = await estimated(user("hi"))
    long = "some words of text that count " * 10
    for fields in (
        user("hi") | {"tools": [{"type": "function", "function": {"name": "f", "description": long}}]},
        user("hi") | {"functions": [{"name": "f", "description": long}]},
        user("hi") | {"response_format": {"type": "json_schema", "json_schema": {"description": long}}},
        user([{"type": "text", "text": long}]),
        user([{"type": "unknown", "whatever": long}]),
        {"messages": [{"role": "assistant", "content": "hi", "tool_calls": [{"function": {"arguments": long}}]}]},
        {"messages": [{"role": "assistant", "content": "hi", "reasoning_content": long}]},
        {"messages": [{"role": "user", "content": "hi", "name": long}]},
    ):
        assert await estimated(fields) >= base + 50


@given(st.text(max_size=200))
@settings(max_examples=50)
def test_special_tokens_in_text_are_counted_as_text(text: str) -> None:
    count = token_counter(Encoding.O200K)
    assert count(text + "<|endoftext|>") >= 1
    assert count(text) <= len(text.encode())


async def test_cutting_a_long_text_never_makes_it_shorter() -> None:
    count = token_counter(Encoding.O200K)
    for text in ("lorem ipsum dolor " * 20_000, "ab" * 100_000, "漢字かな" * 40_000, " " * 300_000):
        assert len(text) > SLICE_CHARACTERS
        assert await count_tokens([text], Encoding.O200K) >= count(text)


# --- images -------------------------------------------------------------------------------------------------------


def png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + b"IHDR"
        + header
        + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )


def jpeg(width: int, height: int, before: bytes = b"") -> bytes:
    exif = b"\xff\xe1" + struct.pack(">H", len(before) + 2) + before
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3) + b"\0" * 9
    return b"\xff\xd8" + exif + b"\xff\xff" + frame[1:] + b"\xff\xd9"


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0" * 20


def webp_extended(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + size


def webp_lossless(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    return b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", bits) + b"\0" * 8


def webp_lossy(width: int, height: int) -> bytes:
    return b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + b"\0" * 8


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("picture", [png, jpeg, gif, webp_extended, webp_lossless, webp_lossy])
@pytest.mark.parametrize("size", [(1024, 768), (1, 1), (4000, 3000)])
def test_size_is_seen_in_the_first_bytes(picture: Any, size: tuple[int, int]) -> None:
    assert data_url_size(data_url(picture(*size) + b"\0" * 1000)) == size


def test_size_of_a_jpeg_behind_a_preview() -> None:
    assert data_url_size(data_url(jpeg(640, 480, b"\xff\xc0 a preview " * 4000))) == (640, 480)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/cat.png",
        "data:",
        "data:image/png;base64,",
        "data:image/png;base64,!!!!",
        "data:image/svg+xml,<svg/>",
        data_url(b"\x89PNG\r\n\x1a\n"),
        data_url(b"\xff\xd8\xff\xe1\xff\xff"),
        data_url(png(0, 10)),
        "data:image/png;base64,é",
    ],
)
def test_unseen_size_costs_the_documented_maximum(url: str) -> None:
    assert data_url_size(url) is None
    assert image_tokens(url, "high", model_family("gpt-4o").image_cost) == 85 + 8 * 170


@given(st.binary(max_size=200))
def test_any_bytes_have_a_size_or_none(data: bytes) -> None:
    for start in (b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 "):
        size = data_url_size(data_url(start + data))
        assert size is None or min(size) > 0


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        ("gpt-4o", (1024, 1024), "high", 765),  # the two examples of OpenAI's guide
        ("gpt-4o", (2048, 4096), "high", 1105),
        ("gpt-4o", (4096, 8192), "low", 85),
        ("gpt-4o-mini", (1024, 1024), "low", 2833),
        ("o3", (1024, 1024), "high", 75 + 4 * 150),
        ("gpt-5", (1024, 1024), "auto", 70 + 4 * 140),
        ("gpt-4.1-mini", (1024, 1024), "high", 1659),  # 1024 patches x 1.62
        ("gpt-4.1-mini", (4096, 4096), "high", 2489),  # at most 1536 patches
        ("gpt-5.2", (1024, 1024), "high", 2520),
        ("gpt-5.5", (6000, 6000), "original", 24_600),  # at most 10,000 patches
        ("gpt-5.10", (6000, 6000), "auto", 73_800),
        ("gpt-5.1-2025-11-13", (6000, 6000), "original", 24_600),
        ("gpt-5.6", (6000, 6000), "auto", 73_800),  # at most 30,000
        ("gpt-6-mini", (1024, 1024), "low", 630),
        # https://platform.claude.com/docs/en/build-with-claude/vision: patches of 28 pixels, by the model's tier
        ("claude-sonnet-4-5", (1000, 1000), "low", 1296),
        ("claude-3-5-haiku", (4000, 4000), None, 1568),
        ("claude-opus-4-20250514", (4000, 4000), None, 1568),
        ("anthropic/claude-opus-4.6", (4000, 4000), None, 1568),
        ("claude-opus-4-10", (3840, 2160), None, 4784),
        ("claude-opus-4.10", (3840, 2160), None, 4784),
        ("claude-opus-4-7", (1920, 1080), None, 2691),
        ("claude-opus-4-7", (3840, 2160), None, 4784),
        ("claude-sonnet-5", (3840, 2160), None, 4784),
        # https://ai.google.dev/gemini-api/docs/media-resolution
        ("gemini-3-pro", (8000, 500), None, 2240),
        ("gemini-2.5-pro", (100, 100), "low", 280),
    ],
)
def test_image_costs_what_the_provider_documents(
    model: str, size: tuple[int, int], detail: str | None, tokens: int
) -> None:
    assert image_tokens(data_url(png(*size)), detail, model_family(model).image_cost) == tokens


async def test_image_in_a_message_is_counted_by_its_size_not_its_bytes() -> None:
    url = data_url(png(1024, 1024) + b"\0" * 300_000)
    with_image = await estimated(user([{"type": "image_url", "image_url": {"url": url}}]))
    assert with_image - await estimated(user([])) == 765


BASE64 = base64.b64encode(bytes(range(256)) * 5_600).decode()
"""1.9 MB, which no tokenizer should see."""
SOUND = "data:audio/mp3;base64," + BASE64
FILM = "data:video/mp4;base64," + BASE64
PICTURE = base64.b64encode(png(1024, 1024) + b"\0" * 1_400_000).decode()
PICTURE_SOURCE = {"type": "base64", "media_type": "image/png", "data": PICTURE}


@pytest.mark.parametrize(
    ("part", "least", "most"),
    [
        ({"type": "video_url", "video_url": {"url": FILM}}, 25_000, 29_000),
        ({"type": "video_url", "video_url": {"url": "https://example.com/film"}}, 1_048_576, 1_048_700),
        ({"type": "image", "source": PICTURE_SOURCE}, 765, 850),
        ({"type": "image", "source": {"type": "url", "url": "https://example.com/cat"}}, 1_445, 1_500),
        ({"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"}, 765, 850),
        ({"type": "input_image", "file_id": "file-1", "detail": "low"}, 85, 150),
        ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}, "x": "y"}, 765, 850),
        ({"type": "image", "image": ["https://a", "https://b"]}, 2 * 1_445, 3_000),
        ({"type": "image", "images": [{"url": "https://a"}, {"url": "https://b"}]}, 2 * 1_445, 3_000),
        ({"type": "audio_url", "audio_url": {"url": SOUND}}, 45_000, 47_000),
        ({"type": "input_audio", "input_audio": {"data": BASE64, "format": "wav"}}, 45_000, 47_000),
        ({"type": "input_file", "file_data": f"data:application/pdf;base64,{BASE64}"}, 250_000, 250_100),
        ({"type": "input_file", "file_id": "file-1"}, 250_000, 250_100),
        ({"type": "file", "file": {"file_data": BASE64[:400_000], "filename": "a.pdf"}}, 76_600, 76_700),
        ({"type": "document", "source": {"type": "base64", "data": BASE64}, "title": "t"}, 250_000, 250_100),
        ({"type": "document", "source": {"type": "text", "data": "word " * 1_000}}, 1_000, 1_100),
        ({"type": "document", "source": {"type": "content", "content": "word " * 1_000}}, 1_000, 252_000),
        ({"type": "tool_result", "content": [{"type": "image", "source": PICTURE_SOURCE}]}, 765, 850),
        ({"type": "tool_result", "content": [{"type": "text", "text": "word " * 1_000}]}, 1_000, 1_100),
        ({"type": "hologram", "hologram": {"base64": BASE64}}, 250_000, 250_100),
        ({"inline_data": {"mime_type": "video/mp4", "data": BASE64}}, 25_000, 252_000),
        ({"type": "text", "text": "aGVsbG8" * 1_000}, 2_000, 7_000),
    ],
)
async def test_media_cost_what_is_documented_or_a_bound_and_never_their_base64(
    part: dict[str, Any], least: int, most: int
) -> None:
    tokens = await estimated(user([part])) - await estimated(user([]))
    assert least <= tokens <= most


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:text/plain,"}},
        {"type": "file", "file": {"file_data": "data:text/csv;base64,"}},
        {"type": "document", "source": {"type": "base64", "data": "data:application/json;base64,"}},
    ],
)
async def test_text_in_a_data_url_counts_as_text_without_a_bound(part: dict[str, Any]) -> None:
    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(inner) for name, inner in value.items()}
        return value + BASE64 if value.startswith("data:") else value

    assert await estimated(user([filled(part)])) >= len(BASE64) * 3 // 4 // 3


LONG = "some words of text that count " * 10


@pytest.mark.parametrize(
    "fields",
    [
        user([{"type": "text", "text": "hi", "more": LONG}]),
        user([{"type": "image_url", "image_url": {"url": "https://x", "more": LONG}}]),
        user([{"type": "image_url", "image_url": {"url": "https://x", "detail": LONG}}]),
        user([{"type": "image_url", "image_url": {"url": "https://x"}, "more": LONG}]),
        user([{"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AA"}, "more": LONG}]),
        user([{"type": "input_audio", "input_audio": {"data": LONG * 40}}]),
        {"messages": [{"role": LONG, "content": "hi"}]},
        {"messages": [{"role": "user", "content": "hi", LONG: None}]},
        user("hi") | {"tool_choice": {"type": "function", "function": {"name": LONG}}},
        user("hi") | {"guided_json": {"description": LONG}},
        user("hi") | {"guided_grammar": LONG},
        user("hi") | {LONG: 1},
    ],
)
async def test_whatever_is_forwarded_beside_the_prompt_counts_when_it_is_long(fields: dict[str, Any]) -> None:
    assert await estimated(fields) >= await estimated(user("hi")) + 50


async def test_what_people_send_beside_the_prompt_costs_nothing() -> None:
    usual = {"temperature": 0.5, "tool_choice": "auto", "stream_options": {"include_usage": True}, "user": "u" * 64}
    assert await estimated(user("hi") | usual) == await estimated(user("hi"))


@pytest.mark.parametrize(
    ("model", "encoding", "margin", "maximum_name"),
    [
        ("gpt-4o", Encoding.O200K, 100, "max_tokens"),
        ("openai/gpt-4.1-nano", Encoding.O200K, 100, "max_tokens"),
        ("gpt-4", Encoding.CL100K, 100, "max_tokens"),
        ("gpt-4-turbo", Encoding.CL100K, 100, "max_tokens"),
        ("gpt-3.5-turbo", Encoding.CL100K, 100, "max_tokens"),
        ("o1-preview", Encoding.O200K, 100, "max_completion_tokens"),
        ("azure/o4-mini", Encoding.O200K, 100, "max_completion_tokens"),
        ("gpt-5.1", Encoding.O200K, 100, "max_completion_tokens"),
        ("ft:gpt-4o:org", Encoding.O200K, 100, "max_tokens"),
        ("claude-opus-4-1", Encoding.O200K, 120, "max_tokens"),
        ("gemini-2.5-pro", Encoding.O200K, 120, "max_tokens"),
        ("anything", Encoding.O200K, 120, "max_tokens"),
    ],
)
def test_families_by_name(model: str, encoding: Encoding, margin: int, maximum_name: str) -> None:
    family = model_family(model)
    assert (family.encoding, family.margin_percent, family.maximum_name) == (encoding, margin, maximum_name)
