"""Operators' commands as a shell hands them over."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import asyncpg
import nats
import pytest

from tests.support.stack import REPOSITORY, Stack

ACCOUNT = "full-output"


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
    for module, arguments in (("local_run.commands.env", []), ("local_run.commands.operate", ["verify"])):
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


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (
            "credit ACCOUNT={account} NEW=1 TOKENS=5 KYE=x REASON='mine OTHER=1'",
            "make credit takes ACCOUNT TOKENS REASON KEY NEW, and not KYE",
        ),
        (
            "credit ACCOUNT={account} NEW=1 TOKENS=5 REASON=mine key=x",
            "make credit takes ACCOUNT TOKENS REASON KEY NEW, and not key",
        ),
        ("credit ACCOUNT={account} NEW=1 TOKENS=5 REASON=mine KEY=", "make credit: no value stands after KEY="),
        ("find WHO={account} ACCOUNT={account}", "make find takes WHO, and not ACCOUNT"),
        ("apply-catalog PLAN=", "make apply-catalog: no value stands after PLAN="),
        ("apply-catalog PLAN=' ' SHOW=", "make apply-catalog: no value stands after PLAN= SHOW="),
        ("dead-letters-retry ID=", "make dead-letters-retry: no value stands after ID="),
        ("verify CHEKPOINT={{}}", "make verify takes CHECKPOINT SINCE STATES, and not CHEKPOINT"),
        ("seed ACCOUNT=", "make seed takes SEED, and not ACCOUNT"),
    ],
)
def test_what_a_command_does_not_take_or_has_no_value_is_refused_and_nothing_is_done(
    stack: Stack, account: str, typed: str, told: str
) -> None:
    events = stack.make("events").stdout
    completed = stack.shell(f"make -s {typed.format(account=account)}")
    assert completed.returncode == 2
    assert completed.stdout == ""
    told_by_make = r"make(\[\d+\])?: \*\*\* .* Error 2"
    lines = [line for line in completed.stderr.splitlines() if not re.fullmatch(told_by_make, line)]
    assert lines == [f"error: {told}"]
    assert stack.make("events").stdout == events


def test_settings_may_stand_on_the_command_line(stack: Stack, account: str) -> None:
    stack.credit(account, 5)
    completed = stack.make("balance", f"ACCOUNT={account}", f"SOLARIS_DATA_DIR={stack.directory}")
    assert json.loads(completed.stdout)["credits"] == 5


@pytest.mark.parametrize("verb", ["events", "env", "ps", "verify", f"balance ACCOUNT={ACCOUNT}"])
def test_an_output_that_is_full_is_named(stack: Stack, verb: str) -> None:
    stack.credit(ACCOUNT, 5)
    completed = stack.shell(f"make -s {verb} > /dev/full")
    assert completed.returncode != 0
    lines = [line for line in completed.stderr.splitlines() if not re.match(r"make(\[\d+\])?: ", line)]
    assert len(lines) == 1
    assert "standard output: No space left on device" in lines[0]
