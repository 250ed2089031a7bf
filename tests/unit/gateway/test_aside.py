"""While a large body is read and written, the loop serves everybody else."""

import asyncio
import json
import threading
from typing import Any

import pytest
from chassis.setting_types import DEVELOPMENT_KEY
from gateway.application.aside import Aside
from gateway.application.call import Call
from gateway.application.preparing import Preparer
from gateway.domain.body_structure import HARMLESS_BYTES, MAX_CONTAINERS
from gateway.settings import GatewaySettings
from pydantic import SecretStr

SETTINGS = GatewaySettings(upstream_url="http://127.0.0.1:1", gateway_keys=SecretStr(DEVELOPMENT_KEY))


async def test_a_large_body_is_handled_beside_the_loop_and_a_small_one_at_once() -> None:
    aside = Aside()
    released = threading.Event()
    waiting = asyncio.create_task(aside.run(HARMLESS_BYTES + 1, released.wait, 10))
    await asyncio.sleep(0)
    released.set()  # by the loop, which the large one's function would otherwise hold
    assert await waiting
    assert await aside.run(HARMLESS_BYTES, threading.current_thread) is threading.current_thread()


async def test_who_asked_may_leave_and_the_next_is_handled() -> None:
    aside = Aside()
    released = threading.Event()
    left = asyncio.create_task(aside.run(HARMLESS_BYTES + 1, released.wait, 10))
    await asyncio.sleep(0)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    released.set()
    assert await aside.run(HARMLESS_BYTES + 1, len, "abc") == 3


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "x", "a": 1}] * (MAX_CONTAINERS - 100),
        [{"type": "image", "images": ["b"] * 110_000}],
        [{"type": "tool_result", "content": [{"type": "text", "text": "a", "b": 1}] * (MAX_CONTAINERS // 2)}],
    ],
    ids=["many_parts", "many_pictures", "parts_in_a_part"],
)
async def test_others_have_their_turn_while_the_oddest_prompt_is_estimated(content: Any) -> None:
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": content}]}).encode()
    preparing = asyncio.create_task(Preparer(SETTINGS, Aside()).prepare(Call(), {b"x-user-id": b"ana"}, body))
    turns = 0
    while not preparing.done():
        await asyncio.sleep(0)
        turns += 1
    assert (await preparing).caller.account_id == "ana"
    assert turns > 20  # a dozen at most where all is done in the loop's own thread, however fast the machine
