"""Runs side by side: a folder and a port belong to one, and each answers for itself."""

import json
import subprocess
import sys
import time

import pytest

from tests.support.stack import EVERYTHING, NewStack, Stack


def test_a_second_run_on_the_same_folder_says_so_in_one_line(stack: Stack) -> None:
    second = stack.run_module("local_run")
    assert second.returncode == 1
    assert len(second.stderr.splitlines()) == 1
    assert "already running" in second.stderr
    assert second.stdout == ""
    assert stack.is_ready("gateway")


def _calls(stack: Stack, account: str) -> int:
    """How many calls of that person the stack's own demo upstream has seen, after one more."""
    stack.client(account).chat.completions.create(model="demo-fast", messages=[{"role": "user", "content": account}])
    return sum(account in str(request["body"]) for request in stack.upstream_requests())


@pytest.mark.parametrize(
    ("order", "seconds_between"), [((0, 1), 0.0), ((1, 0), 0.0), ((0, 1), 0.4), ((1, 0), 1.0), ((0, 1), 3.0)]
)
def test_two_stacks_started_together_share_no_port_and_answer_for_themselves(
    new_stack: NewStack, order: tuple[int, int], seconds_between: float
) -> None:
    without_ports = {f"SOLARIS_{name.upper()}_PORT": "" for name in new_stack().ports}
    stacks = [new_stack(without_ports), new_stack(without_ports)]
    for number in order:
        stacks[number].launch()
        time.sleep(seconds_between)  # what is tested: how far the first has come when the second begins
    for stack in stacks:
        stack.wait_said_ready()
        stack.ports = json.loads((stack.directory / "ports.json").read_text())
        stack.wait_ready()
    first, second = stacks
    assert set(first.ports.values()).isdisjoint(second.ports.values())
    for stack, account in ((first, "ana"), (second, "rui")):
        assert set(stack.processes()) == EVERYTHING
        assert "starts again" not in stack.output()
        assert _calls(stack, account) == 1
        assert stack.wait_settled(account)["monthly_used"] > 0
    assert first.operate("balance", ACCOUNT="rui").returncode == 1
    assert second.operate("balance", ACCOUNT="ana").returncode == 1


STRANGER = """
import socket, sys
while f"@solaris-port-{sys.argv[1]}" not in open("/proc/net/unix").read():  # the supervisor has not claimed it yet
    pass
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    client, _ = listener.accept()
    client.settimeout(1)
    try:
        client.recv(4096)
        client.sendall(sys.argv[2].encode())
    except OSError:
        pass
    client.close()
"""
ANSWERS = {
    "http": "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n" + '{"status": "ready"} ',
    "nats": 'INFO {"server_name":"other","version":"2.10.0","max_payload":1048576}\r\n',
    "silent": "",
}


@pytest.mark.parametrize(
    ("taken", "answer"),
    [
        ("postgres", "silent"),
        ("nats", "nats"),
        ("nats", "silent"),
        ("gateway", "http"),
        ("ledger", "http"),
        ("upstream", "http"),
        ("smtp", "silent"),
    ],
)
def test_a_port_that_a_stranger_takes_after_its_choice_is_chosen_again(
    new_stack: NewStack, taken: str, answer: str
) -> None:
    stack = new_stack({f"SOLARIS_{name.upper()}_PORT": "" for name in new_stack().ports})
    ports = stack.directory / "ports.json"
    stack.directory.mkdir(mode=0o711)
    ports.write_text(json.dumps(stack.ports))
    chosen = stack.ports[taken]
    stranger = subprocess.Popen(
        [sys.executable, "-c", STRANGER, str(chosen), ANSWERS[answer]], stdout=subprocess.PIPE, text=True
    )
    stack.launch()
    try:
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == "listening\n"
        stack.wait_said_ready()
        stack.ports = json.loads(ports.read_text())
        assert f"port {chosen}, chosen for {taken}, was taken by another program meanwhile" in stack.output()
        assert stack.ports[taken] != chosen
        assert _calls(stack, "ana") == 1
        assert set(stack.processes()) == EVERYTHING
        assert stack.stop() == 0
    finally:
        stranger.kill()
        stranger.communicate()


def test_a_port_that_is_asked_for_and_taken_is_named_in_one_line(new_stack: NewStack, stack: Stack) -> None:
    other = new_stack({"SOLARIS_GATEWAY_PORT": str(stack.ports["gateway"])})
    process = other.launch()
    assert process.wait(20) == 1
    assert other.output().splitlines() == [
        f"cannot start: SOLARIS_GATEWAY_PORT={stack.ports['gateway']}: the port is taken; choose another, or unset it"
    ]
