"""The local run as a person handles it: start, stop, kill, start again, twice side by side."""

import contextlib
import os
import pty
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import eventually_blocking
from tests.support.processes import all_dead, processes_below
from tests.support.stack import EVERYTHING, REPOSITORY, STOP_TIMEOUT_SECONDS, NewStack, Stack


def test_a_killed_process_of_any_kind_is_replaced_and_calls_are_answered_again(new_stack: NewStack) -> None:
    stack = new_stack().start()
    assert set(stack.processes()) == EVERYTHING
    for service in sorted(EVERYTHING):
        old_pid = stack.kill(service)
        stack.wait_restarted(service, old_pid)
    stack.wait_answering()
    answer = stack.client("ana").chat.completions.create(
        model="demo-usage:10:0:3", messages=[{"role": "user", "content": "Olá"}]
    )
    assert answer.usage is not None
    assert answer.usage.total_tokens == 13


def _children(stack: Stack) -> dict[int, str]:
    """Pids and command lines of the supervisor's own children that live (Linux)."""
    listed = Path(f"/proc/{stack.supervisor_pid}/task/{stack.supervisor_pid}/children").read_text().split()
    commands = {}
    for pid in listed:
        with contextlib.suppress(OSError):
            if command := Path(f"/proc/{pid}/cmdline").read_bytes():  # empty: ended, not yet reaped
                commands[int(pid)] = command.replace(bytes(1), b" ").decode(errors="replace")
    return commands


def test_while_nothing_can_be_written_down_all_is_restarted_once_and_stopped_in_order(new_stack: NewStack) -> None:
    stack = new_stack().start()
    running = stack.processes()
    # As on a full disk: the record of what runs can't be replaced, since what it is written to first is a folder.
    obstacle = stack.directory / f"processes.json.{stack.supervisor_pid}"
    obstacle.mkdir()
    for service in ("gateway", "ledger", "notifier", "nats"):
        os.kill(running[service], signal.SIGKILL)
        eventually_blocking(lambda: f"{service} " in stack.output(), 10)  # noqa: B023  run at once
    eventually_blocking(lambda: len(_children(stack)) == len(EVERYTHING), 20, message="all run again")
    stack.wait_answering()
    assert stack.output().count("`make ps` is not up to date") == 1
    children = _children(stack)
    assert len(children) == len(EVERYTHING)  # none twice
    assert not {running[service] for service in ("gateway", "ledger", "notifier", "nats")} & set(children)
    obstacle.rmdir()
    eventually_blocking(lambda: set(stack.processes().values()) == set(children), 10, message="written down later")
    obstacle.mkdir()
    assert stack.stop() == 0
    assert stack.output().splitlines()[-1] == "stopped"
    assert "Traceback" not in stack.output()
    assert all_dead(children)


def test_stopping_leaves_nothing_behind_and_the_second_start_keeps_all(new_stack: NewStack) -> None:
    stack = new_stack().start()
    granted = stack.credit("ana", 5_000)
    pids = stack.processes().values()
    assert stack.stop(signal.SIGINT) == 0
    assert all_dead(pids)
    assert processes_below(stack.directory) == []
    assert stack.processes() == {}
    cluster = stack.directory / "postgres" / "data" / "PG_VERSION"
    made_at = cluster.stat().st_mtime_ns
    stack.start()
    assert cluster.stat().st_mtime_ns == made_at
    assert stack.balance("ana") == granted
    assert stack.stop(signal.SIGTERM) == 0
    assert processes_below(stack.directory) == []


def test_killing_the_supervisor_ends_its_children_and_the_next_start_takes_their_place(new_stack: NewStack) -> None:
    stack = new_stack().start()
    granted = stack.credit("ana", 1_234)
    pids = stack.processes().values()
    os.kill(stack.supervisor_pid, signal.SIGKILL)
    stack.stop()
    stack.start()  # at once, on the same ports, while the old ones may still be dying
    assert stack.balance("ana") == granted
    assert all_dead(pids)
    os.kill(stack.supervisor_pid, signal.SIGKILL)
    eventually_blocking(lambda: processes_below(stack.directory) == [], message="no descendant left")


def test_a_stop_ends_an_open_stream_and_charges_what_was_produced_and_a_second_one_kills(new_stack: NewStack) -> None:
    stack = new_stack().start()
    question: Any = [{"role": "user", "content": "Conte uma longa história"}]
    stream = stack.client("ana").chat.completions.create(
        model="demo-pace:100-words:1000", messages=question, stream=True
    )
    assert next(iter(stream)).choices
    assert stack.stop(signal.SIGTERM) == 0
    stack.start()
    settled = stack.wait_settled("ana")
    (event,) = [item for item in stack.events("ana") if item["type"].endswith("usage_settled.v1")]
    assert event["data"]["outcome"] == "interrupted"
    assert settled["monthly_used"] == event["data"]["billable_tokens"] > 0

    stream = stack.client("ana").chat.completions.create(
        model="demo-pace:100-words:1000", messages=question, stream=True
    )
    assert next(iter(stream)).choices
    os.kill(stack.supervisor_pid, signal.SIGINT)
    eventually_blocking(lambda: "stopping" in stack.output(), 5)
    assert stack.stop(signal.SIGINT) == 0  # asked twice: at once
    assert "starts again" not in stack.output()
    assert processes_below(stack.directory) == []
    stack.start()
    assert stack.balance("ana")["held"] > 0  # nobody had the time to record what was used


def test_killing_make_stops_the_stack(new_stack: NewStack) -> None:
    stack = new_stack()
    environment = {**os.environ, "SOLARIS_DATA_DIR": str(stack.directory)}
    ports = {f"SOLARIS_{name.upper()}_PORT": str(port) for name, port in stack.ports.items()}
    make = subprocess.Popen(
        ["make", "-s", "run"],
        cwd=REPOSITORY,
        env=environment | ports,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        stack.wait_answering(60)
    finally:
        make.kill()
        make.wait()
    eventually_blocking(lambda: processes_below(stack.directory) == [], STOP_TIMEOUT_SECONDS, message="no process left")


@pytest.mark.parametrize("stage", ["postgres/data.unfinished", "postgres/data/postmaster.pid", "operator.json"])
def test_a_stop_in_the_middle_of_the_first_start_leaves_nothing_and_the_next_start_goes_on(
    new_stack: NewStack, stage: str
) -> None:
    stack = new_stack()
    stack.launch()
    eventually_blocking((stack.directory / stage).exists, 30)
    assert stack.stop() == 0
    eventually_blocking(lambda: processes_below(stack.directory) == [], message="no process left")
    assert "Traceback" not in stack.output()
    stack.start()


def test_a_supervisor_killed_over_frozen_children_is_followed_by_one_that_works(new_stack: NewStack) -> None:
    stack = new_stack().start()
    granted = stack.credit("ana", 1_234)
    for pid in stack.processes().values():
        os.kill(pid, signal.SIGSTOP)
    os.kill(stack.supervisor_pid, signal.SIGKILL)
    stack.stop()
    stack.start()  # what was frozen could not follow the supervisor
    assert stack.balance("ana") == granted
    for pid in stack.processes().values():
        os.kill(pid, signal.SIGSTOP)
    assert stack.stop() == 0  # nor can it stop when it is asked
    eventually_blocking(lambda: processes_below(stack.directory) == [], message="no process left")


def test_closing_the_terminal_stops_the_stack(new_stack: NewStack) -> None:
    stack = new_stack()
    ports = {f"SOLARIS_{name.upper()}_PORT": str(port) for name, port in stack.ports.items()}
    environment = {**os.environ, **ports, "SOLARIS_DATA_DIR": str(stack.directory)}
    make, terminal = pty.fork()  # make leads the session, as in a window that was opened for it
    if make == 0:
        os.chdir(REPOSITORY)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run under nohup
        os.execvpe("make", ["make", "-s", "run"], environment)
    try:
        shown = b""
        while b"ready in" not in shown:
            shown += os.read(terminal, 65536)
        os.close(terminal)
        eventually_blocking(
            lambda: processes_below(stack.directory) == [], STOP_TIMEOUT_SECONDS, message="no process left"
        )
    finally:
        os.kill(make, signal.SIGKILL)
        os.waitpid(make, 0)
