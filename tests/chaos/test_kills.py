"""Processes killed, stopped and cut off under load: nothing lost, nothing counted twice, no restart by hand."""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import nats
import openai
import pytest
from contracts.codec import encode
from contracts.events.registry import USAGE_RECORDED
from contracts.usage import Outcome

from tests.support.eventually import eventually, eventually_blocking
from tests.support.gateway_messages import usage_event, usage_recorded
from tests.support.stack import Stack
from tests.support.tampering import tamper

QUESTION: Any = [{"role": "user", "content": "Olá! Quem é você?"}]
ENVIRONMENT = {"SOLARIS_HOLD_TTL_SECONDS": "12", "SOLARIS_ALERT_WINDOW_SECONDS": "0.5"}
CLEAR_REFUSALS = {"ledger_unavailable"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = Stack(
        tmp_path_factory.mktemp("chaos") / "data",
        ENVIRONMENT,
    )
    try:
        yield running.start()
    finally:
        running.stop()


class Load:
    """Calls of exactly known usage until stopped; a clear refusal is counted, anything else fails the test."""

    PROMPT, COMPLETION = 20, 30

    def __init__(self, stack: Stack, account: str, workers: int = 6) -> None:
        self._client = stack.async_client(account)
        self._stopping = asyncio.Event()
        self._workers = [asyncio.create_task(self._work()) for _ in range(workers)]
        self.served: list[str] = []
        self.refused = 0
        self.broken = 0

    async def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                raw = await self._client.chat.completions.with_raw_response.create(
                    model=f"demo-usage:{self.PROMPT}:0:{self.COMPLETION}", messages=QUESTION
                )
            except openai.APIStatusError as error:
                assert error.status_code == 503, error
                assert error.code in CLEAR_REFUSALS, error
                self.refused += 1
                await asyncio.sleep(0.1)
            except openai.APIConnectionError:
                self.broken += 1
                await asyncio.sleep(0.1)
            else:
                self.served.append(raw.headers["x-solaris-request-id"])

    async def until_served(self, more: int, timeout_seconds: float = 40) -> None:
        before = len(self.served)
        await eventually(
            lambda: len(self.served) >= before + more, timeout_seconds, message=f"{more} more calls served"
        )

    async def stop(self) -> None:
        self._stopping.set()
        await asyncio.wait_for(asyncio.gather(*self._workers), 60)
        await self._client.close()

    @property
    def tokens(self) -> int:
        return len(self.served) * (self.PROMPT + self.COMPLETION)


def ends(stack: Stack, account: str) -> Counter[str]:
    """How often each reservation was charged by its real usage."""
    return Counter(
        event["data"]["reservation_id"] for event in stack.events(account) if event["type"].endswith("usage_settled.v1")
    )


def settled_at(stack: Stack, account: str, tokens: int, timeout_seconds: float = 60) -> dict[str, Any]:
    def quiet() -> dict[str, Any] | None:
        balance = stack.balance(account)
        return balance if balance["held"] == 0 and balance["monthly_used"] == tokens else None

    try:
        return eventually_blocking(quiet, timeout_seconds)
    except AssertionError:
        raise AssertionError(f"{stack.balance(account)} never came to {tokens}\n{stack.output()[-3000:]}") from None


async def test_a_gateway_killed_mid_stream_is_charged_and_later_corrected(
    stack: Stack, closing: AsyncExitStack
) -> None:
    account = "gateway-killed"
    client = await closing.enter_async_context(stack.async_client(account))
    stream = await client.chat.completions.create(
        model="demo-words:3000-pace:20", messages=QUESTION, stream=True, max_tokens=3_000
    )
    reservation_id = stream.response.headers["x-solaris-request-id"]
    async for _ in stream:
        break
    old = stack.kill("gateway")
    await asyncio.to_thread(stack.wait_restarted, "gateway", old)
    held = stack.balance(account)["held"]
    assert held >= 3_000
    charged = await asyncio.to_thread(settled_at, stack, account, held, 40)
    assert charged["debt"] == 0
    expired = [e for e in stack.events(account) if e["type"].endswith("reservation_expired.v1")]
    assert [e["data"]["reservation_id"] for e in expired] == [reservation_id]
    await _record_late(stack, account, reservation_id, prompt=11, completion=9)
    corrected = await asyncio.to_thread(settled_at, stack, account, 20)
    assert corrected["available"] == corrected["monthly_limit"] - 20


async def _record_late(stack: Stack, account: str, reservation_id: str, prompt: int, completion: int) -> None:
    """The usage that the dead gateway would have recorded, published as its journal would."""
    usage = usage_recorded(
        reservation_id, prompt=prompt, completion=completion, model="demo", outcome=Outcome.INTERRUPTED
    )
    event = usage_event(account, usage)
    client = await nats.connect(stack.operator_environment()["SOLARIS_NATS_URL"])
    await client.jetstream().publish(f"solaris.{USAGE_RECORDED}.{account}", encode(event))
    await client.close()


async def test_a_ledger_killed_under_load_loses_no_hold_and_no_usage(stack: Stack) -> None:
    account = "ledger-killed"
    load = Load(stack, account)
    await load.until_served(50)
    for _ in range(3):
        old = stack.kill("ledger")
        await asyncio.to_thread(stack.wait_restarted, "ledger", old)
        await load.until_served(50)
    await load.stop()
    balance = await asyncio.to_thread(settled_at, stack, account, load.tokens)
    assert balance["debt"] == 0
    assert ends(stack, account) == Counter(load.served)


async def test_a_gateway_killed_under_load_counts_each_call_at_most_once(stack: Stack) -> None:
    account = "gateway-killed-under-load"
    load = Load(stack, account)
    await load.until_served(50)
    old = stack.kill("gateway")
    await asyncio.to_thread(stack.wait_restarted, "gateway", old)
    await load.until_served(50)
    await load.stop()
    await eventually(lambda: asyncio.to_thread(lambda: stack.balance(account)["held"] == 0), 60)
    counted = ends(stack, account)
    # What was answered is charged by its usage; a call that died with the gateway may be charged by its hold.
    assert {each for each in load.served if counted[each] != 1} == set()
    assert max(counted.values()) == 1


@pytest.mark.parametrize("part", ["postgres", "nats"])
async def test_a_part_stopped_for_twenty_seconds_under_load(stack: Stack, part: str) -> None:
    account = f"{part}-stopped"
    before = stack.processes()
    load = Load(stack, account)
    await load.until_served(50)
    pids = _family(stack.pid(part))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(20)  # the outage itself
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
    await load.until_served(50)
    await load.stop()
    assert load.refused > 0
    assert load.broken == 0
    balance = await asyncio.to_thread(settled_at, stack, account, load.tokens)
    assert balance["debt"] == 0
    assert ends(stack, account) == Counter(load.served)
    assert stack.processes() == before, "a process had to be restarted"


def _family(pid: int) -> list[int]:
    """A process and its children, parents first."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _family(int(child)))]


@pytest.mark.parametrize("part", ["postgres", "nats"])
async def test_a_part_killed_under_load_comes_back_by_itself(stack: Stack, part: str) -> None:
    account = f"{part}-killed"
    load = Load(stack, account)
    await load.until_served(50)
    old = stack.kill(part)
    await asyncio.to_thread(stack.wait_restarted, part, old)
    await load.until_served(50)
    await load.stop()
    balance = await asyncio.to_thread(settled_at, stack, account, load.tokens)
    assert balance["debt"] == 0
    assert ends(stack, account) == Counter(load.served)


async def test_a_ledger_down_longer_than_a_hold_lives_reads_its_backlog_first(
    stack: Stack, closing: AsyncExitStack
) -> None:
    account = "backlog"
    client = await closing.enter_async_context(stack.async_client(account))

    async def call() -> str:
        raw = await client.chat.completions.with_raw_response.create(
            model="demo-usage:20:0:30-slow:2500", messages=QUESTION
        )
        return str(raw.headers["x-solaris-request-id"])

    def all_are_upstream() -> bool:
        return sum("slow:2500" in json.dumps(request) for request in stack.upstream_requests()) == 20

    calls = asyncio.gather(*(call() for _ in range(20)))
    await eventually(lambda: asyncio.to_thread(all_are_upstream), 30)
    pid = stack.pid("ledger")
    os.kill(pid, signal.SIGSTOP)
    try:
        served = await calls
        await asyncio.sleep(14)  # longer than a hold lives in this stack
        old = stack.kill("ledger")
    finally:
        os.kill(pid, signal.SIGCONT)
    await asyncio.to_thread(stack.wait_restarted, "ledger", old)
    await asyncio.to_thread(settled_at, stack, account, 50 * len(served))
    assert not [e for e in stack.events(account) if e["type"].endswith("reservation_expired.v1")]
    assert ends(stack, account) == Counter(served)


async def test_a_reserve_whose_answer_never_came_leaves_no_hold_and_no_charge(
    stack: Stack, closing: AsyncExitStack
) -> None:
    account = "unanswered"
    client = await closing.enter_async_context(stack.async_client(account))
    await client.chat.completions.create(model="demo-usage:20:0:30", messages=QUESTION)
    await asyncio.to_thread(settled_at, stack, account, 50)
    pid = stack.pid("ledger")
    os.kill(pid, signal.SIGSTOP)
    try:
        calls = [client.chat.completions.create(model="demo-usage:20:0:30", messages=QUESTION) for _ in range(20)]
        refusals = await asyncio.gather(*calls, return_exceptions=True)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert {getattr(refusal, "status_code", refusal) for refusal in refusals} == {503}
    ended = 21

    def all_ended() -> bool:
        names = Counter(event["type"].split(".")[2] for event in stack.events(account))
        return names["usage_settled"] + names["reservation_released"] >= ended

    await eventually(lambda: asyncio.to_thread(all_ended), 20)
    balance = await asyncio.to_thread(settled_at, stack, account, 50)
    assert balance["available"] == balance["monthly_limit"] - 50
    assert not [e for e in stack.events(account) if e["type"].endswith("reservation_expired.v1")]


def test_with_every_stream_deleted_republish_and_replay_restore_all_without_a_second_mail(stack: Stack) -> None:
    account = "streams-deleted"
    stack.limit(account, 10_000)
    stack.client(account).chat.completions.create(model="demo-usage:20:0:8500", messages=QUESTION)
    eventually_blocking(lambda: stack.mails(account), 20)
    asyncio.run(_delete_streams(stack))
    assert stack.operate("republish").returncode == 0
    replayed = stack.operate("replay")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert stack.operate("verify").returncode == 0
    stack.client(account).chat.completions.create(model="demo-usage:20:0:580", messages=QUESTION)
    eventually_blocking(lambda: stack.mails(account, "threshold-90"), 20)
    assert stack.told(account) == Counter({"threshold-80": 1, "threshold-90": 1})


async def _delete_streams(stack: Stack) -> None:
    client = await nats.connect(stack.operator_environment()["SOLARIS_NATS_URL"])
    jetstream = client.jetstream()
    for info in await jetstream.streams_info():
        await jetstream.delete_stream(str(info.config.name))
    await client.close()


async def test_a_flipped_byte_and_a_deleted_event_are_named(stack: Stack) -> None:
    account = "tampered"
    for _ in range(3):
        stack.client(account).chat.completions.create(model="demo-usage:20:0:10", messages=QUESTION)
    stack.wait_settled(account)
    assert stack.operate("verify").returncode == 0
    connection = await asyncpg.connect(stack.owner_database_url())
    position = await connection.fetchval(
        "SELECT position FROM ledger.events WHERE account_id = $1 ORDER BY position OFFSET 3 LIMIT 1", account
    )
    flip = "UPDATE ledger.events SET data = set_byte(data, 400, get_byte(data, 400) # 1) WHERE position = $1"
    await tamper(connection, flip, position)
    named = stack.operate("verify")
    assert named.returncode == 1
    assert str(position) in named.stdout + named.stderr
    await tamper(connection, flip, position)
    assert stack.operate("verify").returncode == 0
    await connection.execute(f"CREATE TEMP TABLE kept AS SELECT * FROM ledger.events WHERE position = {position}")
    await tamper(connection, "DELETE FROM ledger.events WHERE position = $1", position)
    named = stack.operate("verify")
    assert named.returncode == 1
    assert account in named.stdout + named.stderr
    await connection.execute("INSERT INTO ledger.events OVERRIDING SYSTEM VALUE SELECT * FROM kept")
    assert stack.operate("verify").returncode == 0
    await connection.close()
