"""A service's life: the order of its parts, what ends it, and how it tells; real tasks, a real port, real signals."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator

import chassis.service
import pytest
from chassis.service import Part, Service, Work, WorkEndedError, run_until
from chassis.settings import ServiceSettings
from local_run.ports import any_free
from structlog.testing import capture_logs

from tests.support.eventually import eventually


class Story(list[str]):
    """What happens, in its order."""

    @contextlib.asynccontextmanager
    async def part(self, name: str) -> AsyncIterator[None]:
        self.append(f"{name} entered")
        try:
            yield
        finally:
            self.append(f"{name} left")

    @contextlib.asynccontextmanager
    async def absent(self) -> AsyncIterator[None]:
        """A part whose server does not answer."""
        self.append("waiting")
        try:
            await asyncio.Event().wait()
        finally:
            self.append("waited enough")
        yield

    async def loop(self) -> None:
        self.append("loop began")
        try:
            await asyncio.Event().wait()
        finally:
            self.append("loop ended")


def service(*parts: Part, shutdown_seconds: float = 5.0) -> Service:
    async def cache() -> str | None:
        return "cold"

    settings = ServiceSettings(shutdown_seconds=shutdown_seconds, instance="under-test")
    return Service(settings=settings, port=any_free(), parts=parts, checks={"cache": cache})


@contextlib.asynccontextmanager
async def running(tested: Service) -> AsyncIterator[asyncio.Event]:
    """The service beside the block, which may stop it; whatever it ends with is raised."""
    stop = asyncio.Event()
    task = asyncio.create_task(run_until(stop, tested))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await task


def readiness(port: int) -> tuple[int, dict[str, str]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return answer.status, {}
    except urllib.error.HTTPError as error:
        assert error.headers["x-solaris-instance"] == "under-test"
        return error.code, json.loads(error.read())["failing"]


async def told(port: int) -> tuple[int, dict[str, str]] | None:
    try:
        return await asyncio.to_thread(readiness, port)
    except urllib.error.URLError:
        return None


async def test_parts_are_left_in_reverse_and_a_loop_while_those_before_it_still_stand() -> None:
    story = Story()
    async with running(service(story.part("store"), Work(story.loop), story.part("edge"))):
        await eventually(lambda: "loop began" in story)
    assert story == ["store entered", "edge entered", "loop began", "edge left", "loop ended", "store left"]


async def test_a_loop_that_is_asked_to_end_finishes_what_it_has() -> None:
    story, asked = Story(), asyncio.Event()

    async def work() -> None:
        story.append("began")
        await asked.wait()
        await asyncio.sleep(0)
        story.append("finished")

    async with running(service(Work(work, stop=asked.set))):
        await eventually(lambda: story == ["began"])
    assert story == ["began", "finished"]


async def test_loops_that_do_not_end_have_shutdown_seconds_all_in_all_and_are_named() -> None:
    story = Story()
    with capture_logs() as logs:
        async with running(
            service(
                Work(story.loop, story.loop, stop=lambda: None),
                Work(story.loop, stop=lambda: None),
                shutdown_seconds=0.3,
            )
        ):
            await eventually(lambda: story.count("loop began") == 3)
    assert story.count("loop ended") == 3
    assert [entry["work"] for entry in logs if entry["event"] == "work_cancelled"] == ["Story.loop"] * 3


async def test_a_loop_that_does_not_even_end_cancelled_keeps_no_part_before_it_from_being_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chassis.service, "CANCELLED_SECONDS", 0.05)
    story, let_go = Story(), asyncio.Event()

    async def held_by_a_driver() -> None:
        story.append("loop began")
        while not let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await let_go.wait()

    try:
        with capture_logs() as logs:
            async with running(service(story.part("store"), Work(held_by_a_driver))):
                await eventually(lambda: "loop began" in story)
    finally:
        let_go.set()
    assert story[-1] == "store left"
    assert [entry["work"].rpartition(".")[2] for entry in logs if entry["event"] == "work_abandoned"] == [
        "held_by_a_driver"
    ]


@pytest.mark.parametrize("stops", [None, lambda: None])
async def test_a_loop_that_fails_stops_the_service_in_order_and_is_what_it_ends_with(stops: None) -> None:
    story = Story()

    async def fail() -> None:
        raise ArithmeticError("a defect")

    with pytest.raises(ArithmeticError, match="a defect"):
        async with asyncio.timeout(5):
            await run_until(
                asyncio.Event(),
                service(story.part("store"), Work(story.loop), Work(fail, stop=stops), story.part("edge")),
            )
    assert story[-3:] == ["edge left", "loop ended", "store left"]


async def test_a_loop_that_ends_unasked_is_an_error_though_it_says_none() -> None:
    with pytest.raises(WorkEndedError, match="sleep"):
        async with asyncio.timeout(5):
            await run_until(asyncio.Event(), service(Work(lambda: asyncio.sleep(0))))


async def test_an_error_at_the_end_keeps_no_part_from_being_left() -> None:
    story, asked = Story(), asyncio.Event()

    async def fail_late() -> None:
        await asked.wait()
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        async with running(service(story.part("store"), Work(story.loop), Work(fail_late, stop=asked.set))):
            await eventually(lambda: "loop began" in story)
    assert story[-2:] == ["loop ended", "store left"]


async def test_a_part_that_cannot_be_entered_ends_the_service_and_those_before_it_are_left() -> None:
    story = Story()

    @contextlib.asynccontextmanager
    async def refused(reason: str) -> AsyncIterator[None]:
        if reason:
            raise PermissionError(reason)
        yield

    with pytest.raises(PermissionError, match="not yours"):
        async with asyncio.timeout(5):
            await run_until(
                asyncio.Event(),
                service(story.part("store"), Work(story.loop), refused("not yours"), story.part("edge")),
            )
    assert "edge entered" not in story
    assert story[-1] == "store left"


async def test_a_part_that_gives_up_in_its_own_time_is_no_stop() -> None:
    @contextlib.asynccontextmanager
    async def impatient() -> AsyncIterator[None]:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
        yield

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await run_until(asyncio.Event(), service(impatient()))


async def test_while_a_part_cannot_be_entered_it_says_why_it_is_not_ready_and_stops_at_once() -> None:
    story = Story()
    tested = service(story.part("store"), story.absent(), story.part("edge"))
    async with running(tested):
        await eventually(lambda: "waiting" in story)
        assert await told(tested.port) == (503, {"cache": "cold"})
    assert story == ["store entered", "waiting", "waited enough", "store left"]


async def test_while_it_stops_it_says_so() -> None:
    story, held = Story(), asyncio.Event()

    @contextlib.asynccontextmanager
    async def slow_to_leave() -> AsyncIterator[None]:
        yield
        story.append("leaving")
        await held.wait()

    tested = service(slow_to_leave())
    async with running(tested) as stop:
        await eventually(lambda: told(tested.port))
        stop.set()
        await eventually(lambda: "leaving" in story)
        assert await told(tested.port) == (503, {"service": "is stopping"})
        held.set()


async def test_a_port_that_is_taken_is_an_error_of_the_start() -> None:
    story = Story()
    tested = service(story.part("store"))
    listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", tested.port)
    async with listener:
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{tested.port}"):
            await run_until(asyncio.Event(), tested)
    assert story == []


PROGRAM = """
import asyncio, contextlib, sys
from chassis.service import Service, Work, run
from chassis.settings import ServiceSettings, SettingsError

async def loop():
    try:
        await asyncio.Event().wait()
    finally:
        print("loop ended", flush=True)

async def fail():
    raise ArithmeticError("a defect")

@contextlib.asynccontextmanager
async def unusable():
    raise SettingsError("SOLARIS_DATA_DIR=/none: can't be written")
    yield

def assemble(settings):
    if sys.argv[2] == "refused":
        raise SettingsError("SOLARIS_CATALOG=none.toml: No such file")
    parts = {"loop": [Work(loop)], "fail": [Work(loop), Work(fail)], "unusable": [unusable()]}[sys.argv[2]]
    return Service(settings=settings, port=int(sys.argv[1]), parts=parts, checks={})

run("tested", ServiceSettings, assemble)
"""


@contextlib.asynccontextmanager
async def process(kind: str, **variables: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    port = any_free()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SOLARIS_")}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, str(port), kind),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment | variables,
    )
    try:
        yield child, port
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def ended(child: asyncio.subprocess.Process) -> tuple[int | None, str, list[str]]:
    async with asyncio.timeout(20):
        output, errors = await child.communicate()
    return child.returncode, output.decode(), errors.decode().splitlines()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_in_order_and_well(number: signal.Signals) -> None:
    async with process("loop") as (child, port):

        async def ready() -> bool:
            return await told(port) == (200, {})

        await eventually(ready, 20)
        child.send_signal(number)
        code, output, lines = await ended(child)
    assert (code, output) == (0, "loop ended\n")
    assert [(line["service"], line["event"]) for line in map(json.loads, lines)] == [
        ("tested", "service_ready"),
        ("tested", "service_stopping"),
        ("tested", "service_stopped"),
    ]


async def test_a_failed_loop_ends_the_process_with_its_error() -> None:
    async with process("fail") as (child, _):
        code, output, lines = await ended(child)
    assert (code, output) == (1, "loop ended\n")
    assert lines[-1] == "ArithmeticError: a defect"


@pytest.mark.parametrize(
    ("kind", "variables", "line"),
    [
        ("refused", {}, "cannot start: SOLARIS_CATALOG=none.toml: No such file"),
        ("unusable", {}, "cannot start: SOLARIS_DATA_DIR=/none: can't be written"),
        ("loop", {"SOLARIS_LOG_LEVEL": "loud"}, "cannot start: SOLARIS_LOG_LEVEL=loud: "),
    ],
)
async def test_what_cannot_be_used_is_told_in_one_line(kind: str, variables: dict[str, str], line: str) -> None:
    async with process(kind, **variables) as (child, _):
        code, _, lines = await ended(child)
    told_lines = [each for each in lines if not each.startswith("{")]
    assert code == 1
    assert len(told_lines) == 1
    assert told_lines[0].startswith(line)
