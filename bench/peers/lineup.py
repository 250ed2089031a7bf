"""The peers of one run: addresses, processes, and what their processes used while something ran."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from local_run.addresses import local_base_url
from local_run.ports import any_free

from bench import resources
from bench.load.requests import Target
from bench.peers.litellm import running_litellm
from bench.peers.stack import RunningStack, running_stack
from bench.processes import BENCH_DIRECTORY, ProcessError, answers, python_program, running
from bench.progress import say

UPSTREAM: Final = "upstream"
PASS_THROUGH: Final = "pass-through"
LITELLM: Final = "litellm"
SOLARIS: Final = "solaris"
_START_SECONDS: Final = 30.0
_IDLE_TIMEOUT_SECONDS: Final = 10.0
_IDLE_WINDOW_SECONDS: Final = 0.2
_IDLE_SHARE: Final = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """`processes` are its pids by name; the upstream, which every peer uses, is not among them."""

    target: Target
    processes: Mapping[str, int]

    @property
    def name(self) -> str:
        return self.target.name


@dataclass(slots=True, kw_only=True)
class Peers:
    """`missing` says why a peer is not there."""

    upstream_pid: int
    present: list[Peer]
    stack: RunningStack | None = None
    missing: dict[str, str] = field(default_factory=dict)

    def find(self, name: str) -> Peer | None:
        return next((peer for peer in self.present if peer.name == name), None)


@contextlib.asynccontextmanager
async def running_peers() -> AsyncIterator[Peers]:
    """All of them at once for the length of the block; one that does not start is missing, with the reason."""
    async with contextlib.AsyncExitStack() as exits:
        port = any_free()
        program = python_program(UPSTREAM, "-m", "bench.peers.upstream", "--port", str(port))
        pid = await exits.enter_async_context(_serving(program.name, port, "/v1/models", program.command[1:]))
        target = Target(name=UPSTREAM, port=port, headers=())
        peers = Peers(upstream_pid=pid, present=[Peer(target=target, processes={})])
        peers.present.append(await exits.enter_async_context(_running_pass_through(port)))
        await _add_litellm(exits, peers, port)
        await _add_stack(exits, peers, port)
        yield peers


@contextlib.asynccontextmanager
async def _serving(name: str, port: int, path: str, arguments: tuple[str, ...]) -> AsyncIterator[int]:
    log = BENCH_DIRECTORY / f"{name}.log"
    program = python_program(name, *arguments)
    async with running(program, log, is_ready=lambda: answers(port, path), timeout_seconds=_START_SECONDS) as pid:
        yield pid


@contextlib.asynccontextmanager
async def _running_pass_through(upstream_port: int) -> AsyncIterator[Peer]:
    port = any_free()
    arguments = ("-m", "bench.peers.passthrough", "--port", str(port), "--upstream", local_base_url(upstream_port))
    async with _serving(PASS_THROUGH, port, "/v1/models", arguments) as pid:
        yield Peer(target=Target(name=PASS_THROUGH, port=port, headers=()), processes={PASS_THROUGH: pid})


async def _add_litellm(exits: contextlib.AsyncExitStack, peers: Peers, upstream_port: int) -> None:
    say("starting LiteLLM")
    try:
        target, pid = await exits.enter_async_context(running_litellm(upstream_port))
    except ProcessError as error:
        peers.missing[LITELLM] = str(error)
        say(f"no LiteLLM: {error}")
    else:
        peers.present.append(Peer(target=target, processes={LITELLM: pid}))


async def _add_stack(exits: contextlib.AsyncExitStack, peers: Peers, upstream_port: int) -> None:
    say("starting the stack")
    try:
        peers.stack = await exits.enter_async_context(running_stack(upstream_port))
    except ProcessError as error:
        peers.missing[SOLARIS] = str(error)
        say(f"no stack: {error}")
    else:
        peers.present.append(Peer(target=peers.stack.target, processes=peers.stack.pids))


async def wait_until_idle(peer: Peer) -> None:
    """Return when the peer does nothing any more, or after a while: what it still does would slow the next one down."""
    deadline = time.monotonic() + _IDLE_TIMEOUT_SECONDS
    before = _used(peer)
    while time.monotonic() < deadline:
        await asyncio.sleep(_IDLE_WINDOW_SECONDS)
        now = _used(peer)
        if now - before < _IDLE_WINDOW_SECONDS * _IDLE_SHARE:
            return
        before = now


def _used(peer: Peer) -> float:
    return sum(resources.cpu_seconds(pid) for pid in peer.processes.values())


class CpuMeter:
    """What a peer's processes and the upstream use from its making on."""

    def __init__(self, peer: Peer, upstream_pid: int) -> None:
        self._pids = {**peer.processes, UPSTREAM: upstream_pid}
        self._before = {name: resources.cpu_seconds(pid) for name, pid in self._pids.items()}
        self._busy = resources.machine_busy_seconds()
        self._started = time.perf_counter()

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds so far, by process."""
        return {name: resources.cpu_seconds(pid) - self._before[name] for name, pid in self._pids.items()}

    def other_cpus(self) -> float:
        """How many CPUs all other processes on the machine kept busy so far, the load generator among them."""
        elapsed = time.perf_counter() - self._started
        busy = resources.machine_busy_seconds() - self._busy
        return max(0.0, busy - sum(self.cpu_seconds().values())) / elapsed
