"""The local run as a person handles it: start, stop, kill, start again, twice side by side."""

import contextlib
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import asyncpg
import nats
import pytest

from tests.support.eventually import eventually_blocking
from tests.support.stack import REPOSITORY, Stack

NewStack = Callable[..., Stack]
ACCOUNT = "full-output"
EVERYTHING = {"postgres", "nats", "ledger", "gateway", "notifier", "upstream", "mailbox"}


def _processes_below(directory: Path) -> list[str]:
    """Command lines of processes that name the folder, in their arguments or their environment (Linux)."""
    wanted = os.fsencode(directory)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            named = wanted in command or wanted in (entry / "environ").read_bytes()
            if named and b"pytest" not in command:
                found.append(f"{entry.name} {command.replace(bytes(1), b' ').decode(errors='replace')}")
        except OSError:
            continue
    return found


def _all_dead(pids: Iterable[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


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
    assert stack.stop() < 10
    assert stack.exit_code == 0
    assert stack.output().splitlines()[-1] == "stopped"
    assert "Traceback" not in stack.output()
    assert _all_dead(children)


def test_stopping_leaves_nothing_behind_and_the_second_start_is_quick_and_keeps_all(new_stack: NewStack) -> None:
    stack = new_stack().start()
    granted = stack.credit("ana", 5_000)
    pids = stack.processes().values()
    assert stack.stop(signal.SIGINT) < 10
    assert _all_dead(pids)
    assert _processes_below(stack.directory) == []
    assert stack.processes() == {}
    started_at = time.monotonic()
    stack.start()
    assert time.monotonic() - started_at < 10
    assert stack.balance("ana") == granted
    assert stack.stop(signal.SIGTERM) < 10
    assert _processes_below(stack.directory) == []


def test_killing_the_supervisor_ends_its_children_and_the_next_start_takes_their_place(new_stack: NewStack) -> None:
    stack = new_stack().start()
    granted = stack.credit("ana", 1_234)
    pids = stack.processes().values()
    os.kill(stack.supervisor_pid, signal.SIGKILL)
    stack.stop()
    stack.start()  # at once, on the same ports, while the old ones may still be dying
    assert stack.balance("ana") == granted
    assert _all_dead(pids)
    os.kill(stack.supervisor_pid, signal.SIGKILL)
    eventually_blocking(lambda: _processes_below(stack.directory) == [], 10, message="no descendant left")


def test_a_stop_with_an_open_stream_is_in_time_and_charges_what_was_produced(new_stack: NewStack) -> None:
    stack = new_stack().start()
    question: Any = [{"role": "user", "content": "Conte uma longa história"}]
    stream = stack.client("ana").chat.completions.create(
        model="demo-pace:100-words:1000", messages=question, stream=True
    )
    assert next(iter(stream)).choices
    assert stack.stop(signal.SIGTERM) < 10
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
    assert stack.stop(signal.SIGINT) < 2  # asked twice: at once
    assert "starts again" not in stack.output()
    assert _processes_below(stack.directory) == []


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
    eventually_blocking(lambda: _processes_below(stack.directory) == [], 12, message="no process left")


@pytest.mark.parametrize("stage", ["postgres/data.unfinished", "postgres/data/postmaster.pid", "operator.json"])
def test_a_stop_in_the_middle_of_the_first_start_leaves_nothing_and_the_next_start_goes_on(
    new_stack: NewStack, stage: str
) -> None:
    stack = new_stack()
    stack.launch()
    eventually_blocking((stack.directory / stage).exists, 30)
    assert stack.stop() < 10
    assert stack.exit_code == 0
    eventually_blocking(lambda: _processes_below(stack.directory) == [], 2, message="no process left")
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
    assert stack.stop() < 10  # nor can it stop when it is asked
    eventually_blocking(lambda: _processes_below(stack.directory) == [], 2, message="no process left")


def test_closing_the_terminal_stops_the_stack(new_stack: NewStack) -> None:
    stack = new_stack()
    ports = {f"SOLARIS_{name.upper()}_PORT": str(port) for name, port in stack.ports.items()}
    environment = {**os.environ, **ports, "SOLARIS_DATA_DIR": str(stack.directory)}
    make, terminal = pty.fork()  # make leads the session, as in a window that was opened for it
    if make == 0:
        os.chdir(REPOSITORY)
        os.execvpe("make", ["make", "-s", "run"], environment)
    try:
        shown = b""
        while b"ready in" not in shown:
            shown += os.read(terminal, 65536)
        os.close(terminal)
        eventually_blocking(lambda: _processes_below(stack.directory) == [], 12, message="no process left")
    finally:
        os.kill(make, signal.SIGKILL)
        os.waitpid(make, 0)


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
        assert stack.stop() < 10
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


async def test_an_older_version_on_data_of_a_newer_one_says_so_in_one_line(new_stack: NewStack) -> None:
    running = new_stack().start()
    owner = await asyncpg.connect(running.owner_database_url())
    await owner.execute("UPDATE ledger.alembic_version SET version_num = '9999'")
    await owner.close()
    running.stop()
    older = new_stack(directory=running.directory)
    assert older.launch().wait(60) == 1
    told = [line for line in older.output().splitlines() if line.startswith("cannot start")]
    assert len(told) == 1
    assert "schema ledger has revision 9999" in told[0]
    assert "newer version" in told[0]
    assert "Traceback" not in older.output()


async def test_env_exports_addresses_with_operator_rights(stack: Stack) -> None:
    exported = stack.make("env")
    assert exported.returncode == 0
    variables = dict(word.split("=", 1) for line in exported.stdout.splitlines() for word in shlex.split(line)[1:])
    assert variables["SOLARIS_GATEWAY_PORT"] == str(stack.ports["gateway"])
    connection = await asyncpg.connect(variables["SOLARIS_DATABASE_URL"])
    try:
        await connection.fetch("SELECT * FROM ledger.events, notifier.dead_letters LIMIT 1")
        for change in ("UPDATE ledger.events SET data = ''", "DELETE FROM ledger.events", "TRUNCATE ledger.events"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(change)
        for change in ("ALTER TABLE ledger.events DISABLE TRIGGER ALL", "SET session_replication_role = replica"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(change)
        owned = "SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) = current_user"
        assert await connection.fetchval(owned) == 0
    finally:
        await connection.close()
    client = await nats.connect(variables["SOLARIS_NATS_URL"])
    try:
        assert {stream.config.name for stream in await client.jetstream().streams_info()} >= {"USAGE", "LEDGER"}
    finally:
        await client.close()


def test_commands_say_in_one_line_that_nothing_runs(tmp_path: Path) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SOLARIS_")}
    environment = {**inherited, "SOLARIS_DATA_DIR": str(tmp_path / "none")}
    for module, arguments in (("local_run.env", []), ("local_run.operate", ["verify"])):
        completed = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert completed.returncode == 1
        assert len(completed.stderr.splitlines()) == 1
        assert "no stack runs" in completed.stderr
        assert completed.stdout == ""


def test_values_with_quotes_and_dollars_reach_the_operator_command_as_typed(stack: Stack, account: str) -> None:
    reason = 'it\'s "50%" $HOME `id` $(id) # and \\ more; ção'
    completed = stack.make("credit", f"ACCOUNT={account}", "NEW=1", "TOKENS=10", f"REASON={reason}", "KEY=k 1")
    assert completed.returncode == 0, completed.stderr
    assert json.loads(completed.stdout)["credits"] == 10
    again = stack.make("credit", f"ACCOUNT={account}", "NEW=1", "TOKENS=10", f"REASON={reason}", "KEY=k 1")
    assert json.loads(again.stdout)["credits"] == 10


def test_what_a_shell_exports_is_no_value_of_a_command(stack: Stack, account: str) -> None:
    exported = f"export KEY=other TOKENS=99 REASON=other NEW=1 ACCOUNT={account}-other"
    for tokens in (10, 5):
        line = f"{exported}; make -s credit ACCOUNT={account} NEW=1 TOKENS={tokens} REASON=mine"
        completed = stack.shell(line)
        assert completed.returncode == 0, completed.stderr
    assert json.loads(completed.stdout)["credits"] == 15
    assert "TOKENS" in stack.shell(f"{exported}; make -s credit ACCOUNT={account} REASON=mine").stderr
    assert stack.make("balance", f"ACCOUNT={account}-other").returncode != 0


@pytest.mark.parametrize("verb", ["events", "env", "ps", "verify", f"balance ACCOUNT={ACCOUNT}"])
def test_an_output_that_is_full_is_named(stack: Stack, verb: str) -> None:
    stack.credit(ACCOUNT, 5)
    completed = stack.shell(f"make -s {verb} > /dev/full")
    assert completed.returncode != 0
    lines = [line for line in completed.stderr.splitlines() if not re.match(r"make(\[\d+\])?: ", line)]
    assert len(lines) == 1
    assert "standard output: No space left on device" in lines[0]


def _secret(name: str) -> str:
    return f"only-for-{name}-0123456789"


def test_a_process_gets_the_secrets_that_it_reads_and_no_others(new_stack: NewStack) -> None:
    given = {
        "SOLARIS_GATEWAY_KEYS": _secret("gateway-keys"),
        "SOLARIS_GATEWAY_SECRET": _secret("gateway-secret"),
        "SOLARIS_UPSTREAM_API_KEY": _secret("upstream"),
        "SOLARIS_SMTP_URL": f"smtp://ana:{_secret('smtp')}@127.0.0.1:9",
        "HTTPS_PROXY": f"http://ana:{_secret('proxy')}@127.0.0.1:9",
        # Of services to come, of operators, and of the shell's owner:
        "SOLARIS_STRIPE_API_KEY": _secret("stripe"),
        "SOLARIS_ADMIN_PASSWORD": _secret("admin"),
        "SOLARIS_JWT_SECRET": _secret("jwt"),
        "SOLARIS_OPERATE_REASON": _secret("operate"),
        "PGPASSWORD": _secret("pg"),
        "AWS_SECRET_ACCESS_KEY": _secret("aws"),
    }
    stack = new_stack(given).start()
    own: dict[str, str] = json.loads((stack.directory / "secrets.json").read_bytes())
    everything = {**given, **own}
    everything["SOLARIS_SMTP_URL"], everything["HTTPS_PROXY"] = _secret("smtp"), _secret("proxy")
    gateway = {"SOLARIS_GATEWAY_KEYS", "SOLARIS_GATEWAY_SECRET", "SOLARIS_UPSTREAM_API_KEY", "HTTPS_PROXY"}
    read_by = {
        "gateway": gateway | {"nats_gateway"},
        "ledger": {"nats_ledger", "postgres_ledger"},
        "notifier": {"nats_notifier", "postgres_notifier", "SOLARIS_SMTP_URL"},
    }

    def held(text: bytes) -> set[str]:
        return {name for name, value in everything.items() if value.encode() in text}

    processes = stack.processes()
    assert set(processes) == EVERYTHING - {"mailbox"}  # a mail server was named
    for service, pid in processes.items():
        assert held(Path(f"/proc/{pid}/environ").read_bytes()) == read_by.get(service, set()), service
        assert held(Path(f"/proc/{pid}/cmdline").read_bytes()) == set(), service
    assert held((stack.directory / "operator.json").read_bytes()) == {"nats_operator", "postgres_operator"}


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SOLARIS_TIMEZONE", "America/Sao_paulo", "did you mean America/Sao_Paulo?"),
        ("SOLARIS_DEFAULT_PLAN", "bsic", "did you mean basic?"),
        ("SOLARIS_HOLD_TTL_SECONDS", "abc", "must be a whole number from 1 up to 86400"),
        ("SOLARIS_ENFORCEMENT", "observed", "did you mean observe?"),
        ("SOLARIS_HOST", "192.0.2.7", "use an address of this machine"),
        ("SOLARIS_CATALOG", "none.toml", "No such file or directory"),
    ],
)
def test_a_wrong_setting_ends_the_run_at_once_in_one_line(
    new_stack: NewStack, variable: str, value: str, told: str
) -> None:
    stack = new_stack({variable: value})
    assert stack.launch().wait(20) == 1
    (line,) = stack.output().splitlines()
    assert line.startswith(f"cannot start: {variable}={value}: ")
    assert told in line
    assert not (stack.directory / "processes.json").exists()


async def test_an_older_version_on_newer_data_says_so_in_one_line_and_changes_nothing(new_stack: NewStack) -> None:
    stack = new_stack().start()
    connection = await asyncpg.connect(stack.owner_database_url())
    try:
        await connection.execute("UPDATE ledger.alembic_version SET version_num = '9999_of_a_newer_version'")
    finally:
        await connection.close()
    assert stack.stop() < 10
    assert stack.launch().wait(60) == 1
    line = stack.output().splitlines()[-1]
    assert line.startswith("cannot start: the ledger migrations failed")
    assert "9999_of_a_newer_version" in line
    assert "Run the newer version" in line
    assert "Traceback" not in stack.output()
    assert _processes_below(stack.directory) == []


def test_a_setting_that_is_misspelt_is_told(new_stack: NewStack) -> None:
    stack = new_stack({"SOLARIS_ENFORCMENT": "observe", "SOLARIS_STRIPE_API_KEY": "of a service to come"}).start()
    assert "SOLARIS_ENFORCMENT is read by nothing; did you mean SOLARIS_ENFORCEMENT?" in stack.output()
    assert "STRIPE" not in stack.output()


def test_secrets_and_addresses_are_private_files(stack: Stack) -> None:
    for name in ("secrets.json", "operator.json", "ports.json", "nats/nats.conf"):
        assert (stack.directory / name).stat().st_mode & 0o077 == 0, name


def test_the_terminal_shows_who_says_what_and_the_curl_line(stack: Stack) -> None:
    output = stack.output()
    assert f"curl http://127.0.0.1:{stack.ports['gateway']}/v1/chat/completions" in output
    line = next(line.strip() for line in output.splitlines() if line.strip().startswith("curl "))
    completed = subprocess.run(["bash", "-c", f"{line} -sS"], capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(completed.stdout)["choices"][0]["message"]["content"]
