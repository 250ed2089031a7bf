"""What the local run is told and what it tells: settings, secrets, data of a newer version, the first lines."""

import json
import subprocess
from pathlib import Path

import asyncpg
import pytest

from tests.support.processes import processes_below
from tests.support.stack import EVERYTHING, NewStack, Stack


def _secret(name: str) -> str:
    return f"only-for-{name}-0123456789"


def test_a_process_gets_the_settings_that_it_reads_and_no_others(new_stack: NewStack) -> None:
    given = {
        "SOLARIS_PURCHASE_URL": "https://solaris.example/buy",
        "SOLARIS_GATEWAY_KEYS": _secret("gateway-keys"),
        "SOLARIS_GATEWAY_SECRET": _secret("gateway-secret"),
        "SOLARIS_UPSTREAM_API_KEY": _secret("upstream"),
        "SOLARIS_SMTP_URL": f"smtp://ana:{_secret('smtp')}@127.0.0.1:9",
        "HTTPS_PROXY": f"http://ana:{_secret('proxy')}@127.0.0.1:9",
        # Of services to come, of operators, and of the shell's owner:
        "SOLARIS_STRIPE_API_KEY": f"sk_test_{_secret('stripe')}",
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
        "gateway": gateway | {"nats_gateway", "SOLARIS_PURCHASE_URL", "link_keys"},
        "ledger": {"nats_ledger", "postgres_ledger", "checkpoint_key"},
        "projector": {"nats_projector", "postgres_projector"},
        "notifier": {"nats_notifier", "postgres_notifier", "SOLARIS_SMTP_URL", "SOLARIS_PURCHASE_URL", "link_keys"},
        "billing": {
            *("nats_billing", "postgres_billing", "link_keys"),
            *("SOLARIS_GATEWAY_KEYS", "SOLARIS_PURCHASE_URL", "SOLARIS_STRIPE_API_KEY"),
        },
    }

    def held(text: bytes) -> set[str]:
        return {name for name, value in everything.items() if value.encode() in text}

    processes = stack.processes()
    assert set(processes) == EVERYTHING - {"mailbox", "stripe"}  # a mail server and a key of Stripe's were named
    for service, pid in processes.items():
        assert held(Path(f"/proc/{pid}/environ").read_bytes()) == read_by.get(service, set()), service
        assert held(Path(f"/proc/{pid}/cmdline").read_bytes()) == set(), service
    # Billing's verbs ask Stripe, and check its settings, and one of the ledger's signs; the file is as private as the
    # secrets are.
    read_by_verbs = read_by["billing"] - {"nats_billing", "postgres_billing"} | {"checkpoint_key"}
    kept = stack.directory / "operator.json"
    assert held(kept.read_bytes()) == {"nats_operator", "postgres_operator"} | read_by_verbs
    assert kept.stat().st_mode & 0o077 == 0


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
    assert stack.stop() == 0
    assert stack.launch().wait(60) == 1
    line = stack.output().splitlines()[-1]
    assert line.startswith("cannot start: the ledger migrations failed")
    assert "9999_of_a_newer_version" in line
    assert "Run the newer version" in line
    assert "Traceback" not in stack.output()
    assert processes_below(stack.directory) == []


def test_a_setting_that_is_misspelt_is_told(new_stack: NewStack) -> None:
    stack = new_stack({"SOLARIS_ENFORCMENT": "observe", "SOLARIS_JWT_SECRET": "of a service to come"}).start()
    assert "SOLARIS_ENFORCMENT is read by nothing; did you mean SOLARIS_ENFORCEMENT?" in stack.output()
    assert "JWT" not in stack.output()


def test_secrets_and_addresses_are_private_files(stack: Stack) -> None:
    for name in ("secrets.json", "operator.json", "ports.json", "nats/nats.conf"):
        assert (stack.directory / name).stat().st_mode & 0o077 == 0, name


def test_the_terminal_shows_who_says_what_and_the_curl_line(stack: Stack) -> None:
    output = stack.output()
    assert f"curl http://127.0.0.1:{stack.ports['gateway']}/v1/chat/completions" in output
    line = next(line.strip() for line in output.splitlines() if line.strip().startswith("curl "))
    completed = subprocess.run(["bash", "-c", f"{line} -sS"], capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(completed.stdout)["choices"][0]["message"]["content"]
