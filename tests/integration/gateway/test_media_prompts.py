"""Pictures, sound, films and files of a prompt, through the gateway: held at what they cost, never at their base64."""

import base64
import struct
import zlib
from typing import Any

import pytest

from tests.integration.gateway.gateway_process import GatewayProcess
from tests.integration.gateway.raw_http import ask
from tests.integration.gateway.scripted_ledger import ScriptedLedger
from tests.integration.gateway.scripted_upstream import ScriptedUpstream

PNG_HEADER = struct.pack(">IIBBBBB", 1024, 1024, 8, 2, 0, 0, 0)
PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + PNG_HEADER
PNG += struct.pack(">I", zlib.crc32(b"IHDR" + PNG_HEADER))
PICTURE = base64.b64encode(PNG + b"\0" * 1_400_000).decode()
"""1.9 MB of base64; a picture of 1024 by 1024, which costs 765 tokens of gpt-4o's."""
BYTES = base64.b64encode(bytes(range(256)) * 5_600).decode()

PARTS: dict[str, tuple[dict[str, Any], int, int]] = {
    "image_url": ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}, 765, 900),
    "image_by_link": ({"type": "image_url", "image_url": {"url": "https://example.com/cat"}}, 1_445, 1_600),
    "image_and_source": (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
        765,
        900,
    ),
    "input_image": ({"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"}, 765, 900),
    "video_url": ({"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{BYTES}"}}, 25_000, 40_000),
    "video_by_link": ({"type": "video_url", "video_url": {"url": "https://example.com/film"}}, 1_048_576, 1_048_800),
    "input_audio": ({"type": "input_audio", "input_audio": {"data": BYTES, "format": "wav"}}, 45_000, 47_000),
    "audio_url": ({"type": "audio_url", "audio_url": {"url": f"data:audio/mp3;base64,{BYTES}"}}, 45_000, 47_000),
    "file": ({"type": "file", "file": {"file_data": BYTES, "filename": "a.pdf"}}, 250_000, 251_000),
    "input_file": ({"type": "input_file", "file_id": "file-1"}, 250_000, 251_000),
    "document": ({"type": "document", "source": {"type": "base64", "data": BYTES}}, 250_000, 251_000),
    "document_of_text": ({"type": "document", "source": {"type": "text", "data": "word " * 1_000}}, 1_000, 1_200),
    "unknown_medium": ({"type": "hologram", "hologram": {"base64": BYTES}}, 250_000, 251_000),
}


@pytest.mark.parametrize("name", PARTS)
async def test_media_are_held_at_what_they_cost_and_forwarded_as_they_came(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream, name: str
) -> None:
    part, least, most = PARTS[name]
    content = [{"type": "text", "text": "What is this?"}, part]
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": content}]}
    assert (await ask(gateway.port, body)).status == 200
    assert least <= ledger.reserves[0].prompt_tokens <= most
    assert upstream.requests[0].json == body
