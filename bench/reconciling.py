"""`python -m bench.reconciling [--calls N]`: mixed calls through the real LiteLLM proxy, reconciled to zero.

LiteLLM has the callback of `deploy/litellm/config.yaml`, stands between a whole stack and the demo upstream, and is
installed on first use in an environment of its own. Streams, errors, early ends and answers of LiteLLM's own cache are
made; then `reconcile` says what differs, CORRECT=1 puts it right, and a call past the gateway must be found. One JSON
object on standard output; exit 1 where anything differs in the end, 2 where LiteLLM can't be had.
"""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx2
from local_run.ports import any_free

from bench.peers.litellm import litellm_program
from bench.processes import BENCH_DIRECTORY, REPOSITORY, ProcessError, answers, bench_directory, python_program, running
from bench.progress import say
from tests.support.stack import KEY, Stack

ACCOUNTS: Final = 40
AT_ONCE: Final = 12
CALL_SECONDS: Final = 60.0
TOLD_SECONDS: Final = 90.0
PRICES: Final = {
    "input_cost_per_token": 0.000001,
    "cache_read_input_token_cost": 0.0000005,
    "output_cost_per_token": 0.000004,
}
"""As the catalog has them for the demo's models."""
CHAT: Final = "/v1/chat/completions"

type Ways = Mapping[str, tuple[int, dict[str, Any]]]
WAYS: Final[Ways] = {
    "whole": (30, {"model": "demo-fast"}),
    "stream": (24, {"model": "demo-fast", "stream": True}),
    "stream that asks for usage": (
        6,
        {"model": "demo-fast", "stream": True, "stream_options": {"include_usage": True}},
    ),
    "cached prompt": (6, {"model": "demo-usage:1000:200:50"}),
    "reasoning": (4, {"model": "demo-reasoning-fast", "stream": True}),
    "several choices": (3, {"model": "demo-fast", "n": 3}),
    "without usage": (3, {"model": "demo-nousage-fast"}),
    "out of LiteLLM's cache": (8, {"model": "demo-fast", "messages": [{"role": "user", "content": "the same again"}]}),
    "upstream error": (5, {"model": "demo-error:500"}),
    "refused by the upstream": (3, {"model": "demo-error:400"}),
    "stream cut by the upstream": (2, {"model": "demo-pace:5-words:60-cut", "stream": True}),
    "client leaves a stream": (4, {"model": "demo-pace:20-words:300", "stream": True}),
    "client leaves before the answer": (1, {"model": "demo-slow:1500"}),
    "a path that the gateway does not serve": (1, {"model": "demo-fast"}),
}
"""How many of a hundred calls are of each kind, and their bodies."""


async def measure(calls: int) -> dict[str, Any]:
    with bench_directory(), tempfile.TemporaryDirectory(prefix="stack-", dir=BENCH_DIRECTORY) as folder:
        upstream, proxy = any_free(), any_free()
        callback_key = secrets.token_hex(24)
        key = f"sk-bench-{secrets.token_hex(12)}"
        environment = {
            "SOLARIS_UPSTREAM_URL": f"http://127.0.0.1:{proxy}",
            "SOLARIS_UPSTREAM_API_KEY": key,
            "SOLARIS_LITELLM_CALLBACK_KEYS": callback_key,
            "SOLARIS_HOLD_TTL_SECONDS": "60",
        }
        stack = Stack(Path(folder) / "data", environment)
        told_at = f"http://127.0.0.1:{stack.ports['projector']}/internal/litellm/usage"
        async with _upstream(upstream), _litellm(proxy, upstream, key, told_at, callback_key):
            try:
                say("starting the stack")
                await asyncio.to_thread(_start, stack)
                return await _reconciled(stack, proxy, key, calls)
            finally:
                await asyncio.to_thread(stack.stop)


def _start(stack: Stack) -> None:
    stack.launch()
    stack.wait_said_ready()


async def _reconciled(stack: Stack, proxy: int, key: str, calls: int) -> dict[str, Any]:
    started = time.perf_counter()
    made = await _make_calls(stack.ports["gateway"], calls)
    seconds = time.perf_counter() - started
    say(f"{calls} calls in {seconds:.0f} s; waiting until LiteLLM has told of them")
    before = await _settled(stack)
    corrected = await _reconcile(stack, CORRECT=1)
    await _call_past_the_gateway(proxy, key)
    after = await _until(stack, lambda run: run["missing_here"] == 1)
    return {
        "calls": calls,
        "seconds": round(seconds, 1),
        "made": made,
        "before_corrections": before,
        "after_corrections": corrected,
        "with_a_call_past_the_gateway": after,
        "verify": (await asyncio.to_thread(stack.operate, "verify")).returncode,
    }


async def _make_calls(port: int, calls: int) -> dict[str, int]:
    """So many of each way; what the gateway answered, by way and status."""
    kinds = [way for way, (share, _) in WAYS.items() for _ in range(share)]
    limits = httpx2.Limits(max_connections=AT_ONCE)
    seen: Counter[str] = Counter()
    turns = asyncio.Semaphore(AT_ONCE)

    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=CALL_SECONDS, limits=limits) as client:

        async def make(number: int) -> None:
            async with turns:
                # A step that has no factor in common with a hundred mixes the kinds.
                way = kinds[number * 37 % len(kinds)]
                seen[f"{way}: {await _call(client, way, number)}"] += 1

        await asyncio.gather(*(make(number) for number in range(calls)))
    return dict(sorted(seen.items()))


async def _call(client: httpx2.AsyncClient, way: str, number: int) -> str:
    body = {"messages": [{"role": "user", "content": f"olá, chamada {number}"}], **WAYS[way][1]}
    headers = {"authorization": f"Bearer {KEY}", "x-user-id": f"person-{number % ACCOUNTS:02}"}
    path = ("/v1/embeddings", "/v1/messages", "/v1/responses")[number % 3] if "does not serve" in way else CHAT
    try:
        if way == "client leaves a stream":
            async with client.stream("POST", path, json=body, headers=headers) as answer:
                async for _ in answer.aiter_bytes():
                    break
                return f"{answer.status_code}, left"
        timeout = 0.5 if way == "client leaves before the answer" else CALL_SECONDS
        answer = await client.post(path, json=body, headers=headers, timeout=timeout)
    except httpx2.TimeoutException:
        return "left"
    except httpx2.HTTPError as error:
        return type(error).__name__
    return str(answer.status_code)


async def _call_past_the_gateway(proxy: int, key: str) -> None:
    body = {"model": "demo-fast", "messages": [{"role": "user", "content": "past the gateway"}], "user": "nobody"}
    async with httpx2.AsyncClient(timeout=CALL_SECONDS) as client:
        url = f"http://127.0.0.1:{proxy}{CHAT}"
        answer = await client.post(url, json=body, headers={"authorization": f"Bearer {key}"})
        answer.raise_for_status()


async def _settled(stack: Stack) -> dict[str, Any]:
    """Once nothing is missing on either side: LiteLLM tells every five seconds, and holds are settled or charged."""
    return await _until(stack, lambda run: run["missing_here"] + run["missing_there"] == 0)


async def _until(stack: Stack, is_enough: Any) -> dict[str, Any]:
    deadline = time.monotonic() + TOLD_SECONDS
    while True:
        told = await _reconcile(stack)
        if is_enough(told) or time.monotonic() > deadline:
            return told
        await asyncio.sleep(2)


async def _reconcile(stack: Stack, **options: object) -> dict[str, Any]:
    today = datetime.now(UTC).date()
    days = {"FROM": today - timedelta(days=1), "TO": today}
    ran = await asyncio.to_thread(stack.operate, "reconcile", FORMAT="json", **days, **options)
    if ran.returncode not in (0, 1) or not ran.stdout:
        raise ProcessError(f"reconcile: {ran.stderr.strip()}")
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    found = Counter(
        f"{line['kind']}, {line['reason']}, {line['model']}" for line in lines if line["record"] == "finding"
    )
    run = {name: value for name, value in lines[-1].items() if name not in {"record", "run_id", "ended_at", "trigger"}}
    return {**run, "exit_code": ran.returncode, "found": dict(sorted(found.items())), "said": ran.stderr.strip()}


@asynccontextmanager
async def _upstream(port: int) -> AsyncIterator[None]:
    program = python_program("upstream", "-m", "local_run.demo_upstream", "--port", str(port))
    ready = lambda: answers(port, "/health/ready")  # noqa: E731  a one-line condition
    async with running(program, BENCH_DIRECTORY / "upstream.log", is_ready=ready, timeout_seconds=30):
        yield


@asynccontextmanager
async def _litellm(port: int, upstream_port: int, key: str, told_at: str, callback_key: str) -> AsyncIterator[None]:
    """With the callback of the configuration that is shipped, and the demo's models in place of its own."""
    parameters = {
        "model": "openai/*",
        "api_base": f"http://127.0.0.1:{upstream_port}/v1",
        "api_key": "unused",
        **PRICES,
    }
    configuration = {
        "include": [str(REPOSITORY / "deploy" / "litellm" / "config.yaml")],
        "model_list": [{"model_name": "*", "litellm_params": parameters}],
        "litellm_settings": {"cache": True, "cache_params": {"type": "local"}},
    }
    environment = {
        "SOLARIS_LITELLM_CALLBACK_URL": told_at,
        "SOLARIS_LITELLM_CALLBACK_KEY": callback_key,
        "DEFAULT_BATCH_SIZE": "1",  # as the configuration says, and why
    }
    say("starting LiteLLM")
    async with litellm_program(port, key, configuration, environment):
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000)
    try:
        result = asyncio.run(measure(parser.parse_args().calls))
    except ProcessError as error:
        sys.stderr.write(f"not measured: {error}\n")
        return 2
    sys.stdout.write(json.dumps(result, ensure_ascii=False, indent=2) + "\n")
    corrected = result["after_corrections"]
    is_zero = corrected["differing_tokens"] == 0 and not corrected["found"]
    return 0 if is_zero and result["verify"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
