"""Operator commands behind make: values become arguments, untouched."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from local_run.commands.operate import UsageError, asked_services, command_arguments, join, stack_environment
from local_run.data_folder import DataFolder, DataFolderError


def test_values_become_one_argument_each_whatever_they_hold() -> None:
    reason = '--it\'s "50%" $HOME `id`\nsecond line'
    environment = {
        "SOLARIS_OPERATE_ACCOUNT": "ana",
        "SOLARIS_OPERATE_TOKENS": "-5",
        "SOLARIS_OPERATE_REASON": reason,
        "SOLARIS_OPERATE_KEY": "",
    }
    assert command_arguments("credit", environment) == ["credit", "--account=ana", "--tokens=-5", f"--reason={reason}"]


def test_the_plan_goes_by_its_name() -> None:
    environment = {"SOLARIS_OPERATE_ACCOUNT": "ana", "SOLARIS_OPERATE_PLAN": "pro"}
    assert command_arguments("plan", environment) == ["plan", "--account=ana", "--name=pro"]


def test_a_variable_that_a_command_does_not_take_is_refused() -> None:
    environment = {"SOLARIS_OPERATE_ACCOUNT": "ana", "SOLARIS_OPERATE_GIVEN": "ACCOUNT KYE"}
    with pytest.raises(UsageError, match="make lots takes ACCOUNT, and not KYE"):
        command_arguments("lots", environment)
    with pytest.raises(UsageError, match="make billing-republish takes no variables, and not ACCOUNT KYE"):
        command_arguments("billing-republish", environment)


def test_a_variable_without_a_value_is_refused_where_it_was_given() -> None:
    assert command_arguments("apply-catalog", {"SOLARIS_OPERATE_PLAN": ""}) == ["apply-catalog"]
    with pytest.raises(UsageError, match="make apply-catalog: no value stands after PLAN="):
        command_arguments("apply-catalog", {"SOLARIS_OPERATE_PLAN": "", "SOLARIS_OPERATE_GIVEN": "PLAN"})


def test_settings_are_no_values_of_a_command() -> None:
    assert command_arguments("seed", {"SOLARIS_OPERATE_GIVEN": "SOLARIS_DATA_DIR"}) == ["seed"]


def test_a_range_of_the_ledger_s_positions_is_asked_of_the_ledger_alone() -> None:
    assert [service.name for service in asked_services("republish", {})] == ["ledger", "billing"]
    assert [service.name for service in asked_services("republish", {"SOLARIS_OPERATE_TO": "3"})] == ["ledger"]


def test_every_missing_value_is_named() -> None:
    with pytest.raises(UsageError, match="make credit needs TOKENS=… REASON=…"):
        command_arguments("credit", {"SOLARIS_OPERATE_ACCOUNT": "ana"})


@pytest.mark.parametrize("letter", ["foo", "foo:1", "ledger", "ledger:", "notifier:x", "notifier:-1", "ledger:\uff11"])
def test_an_id_that_names_no_dead_letter_is_refused_in_one_line(letter: str) -> None:
    variables = {
        **os.environ,
        "SOLARIS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "SOLARIS_OPERATE_ID": letter,
    }
    command = [sys.executable, "-m", "local_run.commands.operate", "dead-letters-retry"]
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert (ran.stdout, ran.stderr) == (
        "",
        "error: ID: a dead letter is named ledger:<number> or notifier:<number> or billing:<number>\n",
    )


def test_the_id_of_something_else_goes_to_the_verb_s_only_service() -> None:
    variables = {
        **os.environ,
        "SOLARIS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "SOLARIS_NATS_URL": "nats://127.0.0.1:1",
        "SOLARIS_OPERATE_ID": "0199f2a4-7d3b-7c11-8a52-0a6f6f1f2a3c",
    }
    command = [sys.executable, "-m", "local_run.commands.operate", "explain"]
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: the database ")


def test_an_unknown_command_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown command 'drop'"):
        command_arguments("drop", {})


def test_addresses_of_the_callers_own_are_taken_as_they_are() -> None:
    given = {
        "SOLARIS_DATABASE_URL": "postgresql://x",
        "SOLARIS_NATS_URL": "nats://y",
        "SOLARIS_DATA_DIR": "/nowhere",
        "SOLARIS_OPERATE_ACCOUNT": "ana",
    }
    environment = stack_environment(given)
    assert environment["SOLARIS_DATABASE_URL"] == "postgresql://x"
    assert "SOLARIS_OPERATE_ACCOUNT" not in environment


def test_an_address_of_the_callers_own_is_never_mixed_with_a_running_stack(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    lock = folder.lock()
    folder.save_operator_environment({"SOLARIS_DATABASE_URL": "postgresql://stack", "SOLARIS_NATS_URL": "nats://stack"})
    given = {"SOLARIS_DATABASE_URL": "postgresql://x", "SOLARIS_DATA_DIR": str(tmp_path)}
    assert stack_environment(given) == given
    os.close(lock)


def test_a_command_gets_the_settings_that_the_stack_runs_with(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    lock = folder.lock()
    folder.save_operator_environment({"SOLARIS_NATS_URL": "nats://stack", "SOLARIS_DEFAULT_PLAN": "pro"})
    given = {"PATH": "/bin", "SOLARIS_DATA_DIR": str(tmp_path), "SOLARIS_DEFAULT_PLAN": "trial"}
    expected = {"PATH": "/bin", "SOLARIS_NATS_URL": "nats://stack", "SOLARIS_DEFAULT_PLAN": "pro"}
    assert stack_environment(given) == expected
    os.close(lock)


def test_without_a_stack_and_addresses_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataFolderError, match="no stack runs"):
        stack_environment({"SOLARIS_DATA_DIR": str(tmp_path)})


def _python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


ONE: Final = _python("print('{\"a\":[' + '1,' * 100_000 + '2]}')")
"""Longer than what is passed on at once."""


def test_what_several_services_print_is_joined_to_one_object(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert join({"ledger": ONE, "notifier": _python("print('{}')")}, os.environ) == 0
    joined = json.loads(capfdbinary.readouterr().out)
    assert (len(joined["ledger"]["a"]), joined["notifier"]) == (100_001, {})


def test_what_one_service_refuses_is_no_object_and_the_next_is_not_asked(
    capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    refused = _python("import sys; sys.exit('error: no account')")
    asked = _python(f"open({str(tmp_path / 'asked')!r}, 'w')")
    assert join({"ledger": refused, "notifier": asked}, os.environ) == 1
    assert capfdbinary.readouterr() == (b"", b"error: no account\n")
    assert join({"ledger": ONE, "notifier": refused, "billing": asked}, os.environ) == 1
    with pytest.raises(json.JSONDecodeError):
        json.loads(capfdbinary.readouterr().out)
    assert not (tmp_path / "asked").exists()


@pytest.fixture
def _heeded_interruptions() -> Iterator[None]:
    """Whoever runs the tests in the background ignores interruptions, and so would all that the tests start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_heeded_interruptions")
def test_an_interruption_is_told_once_by_the_service_that_was_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/none"
        asking = subprocess.Popen(
            [sys.executable, "-m", "local_run.commands.operate", "dead-letters"],
            env={**os.environ, "SOLARIS_DATABASE_URL": url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        silent.settimeout(20)
        with silent.accept()[0]:
            os.killpg(asking.pid, signal.SIGINT)  # as a terminal does
            assert asking.communicate(timeout=20) == (b"", b"error: interrupted\n")
        assert asking.returncode == 130
