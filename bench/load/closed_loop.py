"""Closed-loop load on one peer: wrk where the machine has it, else our own generator, and the result says which."""

import asyncio
import json
import resource
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.load.requests import USERS, Target

REQUEST_TIMEOUT_SECONDS: Final = 10
_GRACE_SECONDS: Final = 30.0
_SCRIPT: Final = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run showed. Latencies are of whole answers; `errors` counts statuses over 399 and broken exchanges."""

    requests: int
    seconds: float
    errors: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    generator_cpu_seconds: float

    @property
    def requests_per_second(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0


class LoadError(Exception):
    """The generator itself failed."""


def generator_name() -> str:
    return "wrk" if shutil.which("wrk") else "bench.load.generator (no wrk here; limited by Python, see its CPU share)"


async def run_load(target: Target, payload: bytes, *, connections: int, seconds: float) -> Load:
    """Keep `connections` busy for `seconds`, each request for the next of the users.

    Raises:
        LoadError: the generator could not run.
    """
    wrk = shutil.which("wrk")
    command = (
        _wrk_command(wrk, target, payload, connections, seconds)
        if wrk
        else _own_command(target, payload, connections, seconds)
    )
    cpu_before = _children_cpu_seconds()
    child = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(seconds + _GRACE_SECONDS):
            output, errors = await child.communicate()
    except TimeoutError:
        raise LoadError(f"the load on {target.name} did not end") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise LoadError(f"the load on {target.name} failed: {errors.decode(errors='replace').strip()[-300:]}")
    return _parse(json.loads(output.splitlines()[-1]), _children_cpu_seconds() - cpu_before)


def _wrk_command(wrk: str, target: Target, payload: bytes, connections: int, seconds: float) -> tuple[str, ...]:
    headers = (word for header in target.headers for word in header)
    options = ("-t", "1", "-c", str(connections), "-d", f"{seconds:.0f}s", "--timeout", f"{REQUEST_TIMEOUT_SECONDS}s")
    url = f"http://127.0.0.1:{target.port}"
    script = ("/v1/chat/completions", str(USERS), payload.decode(), *headers)
    return (wrk, *options, "-s", str(_SCRIPT), url, "--", *script)


def _own_command(target: Target, payload: bytes, connections: int, seconds: float) -> tuple[str, ...]:
    described = {"name": target.name, "port": target.port, "headers": target.headers, "body": payload.decode()}
    options = ("--connections", str(connections), "--seconds", str(seconds))
    return (sys.executable, "-m", "bench.load.generator", json.dumps(described), *options)


def _children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _parse(figures: dict[str, Any], cpu_seconds: float) -> Load:
    return Load(
        requests=figures["requests"],
        seconds=figures["duration_us"] / 1e6,
        errors=sum(figures[kind] for kind in ("connect", "read", "write", "status", "timeout")),
        p50_ms=figures["p50_us"] / 1_000,
        p95_ms=figures["p95_us"] / 1_000,
        p99_ms=figures["p99_us"] / 1_000,
        generator_cpu_seconds=cpu_seconds,
    )
