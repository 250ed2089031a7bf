"""The whole stack as a person starts it, seen and handled from outside."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import openai
from local_run.ports import WANTED_PORTS, any_free

from tests.support.eventually import eventually_blocking

REPOSITORY = Path(__file__).parents[2]
KEY = "sk-solaris-dev"
CHAT_URL = "http://librechat.test/c/new"
"""Where the people of a stack that has it come from."""
START_TIMEOUT_SECONDS = 120.0
STOP_TIMEOUT_SECONDS = 60.0
"""A stop that takes longer hangs, however crowded the machine is."""
EVERYTHING = {
    "postgres",
    "nats",
    "ledger",
    "projector",
    "gateway",
    "notifier",
    "billing",
    "upstream",
    "mailbox",
    "stripe",
}
"""The processes of a stack."""


def _different_ports(number: int) -> set[int]:
    """Each is drawn for itself, so that two may come out alike."""
    ports: set[int] = set()
    while len(ports) < number:
        ports.add(any_free())
    return ports


class Stack:
    """One `python -m local_run` on a data folder and ports of its own.

    Accounts in tests get the address `<account>@example.com`, so that their mails can be told apart.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.ports = dict(zip(WANTED_PORTS, _different_ports(len(WANTED_PORTS)), strict=True))
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SOLARIS_")},
            **{f"SOLARIS_{name.upper()}_PORT": str(port) for name, port in self.ports.items()},
            "SOLARIS_DATA_DIR": str(directory),
            **(environment or {}),
        }
        self._output = directory.with_name(directory.name + ".output")
        self._process: subprocess.Popen[bytes] | None = None

    # --- life ---

    def start(self) -> Self:
        """Start it and return when it says that it is ready."""
        self.launch()
        self.wait_ready()
        return self

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the supervisor and return at once."""
        self._output.parent.mkdir(parents=True, exist_ok=True)
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "local_run"],
                env=self._environment,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self._process

    def wait_ready(self, timeout_seconds: float = START_TIMEOUT_SECONDS) -> None:
        """Wait for the `ready` line of the present start, then for the gateway itself."""
        self.wait_said_ready(timeout_seconds)
        self.wait_answering(timeout_seconds)

    def wait_said_ready(self, timeout_seconds: float = START_TIMEOUT_SECONDS) -> None:
        """Wait for the `ready` line of the present start."""

        def said_ready() -> bool:
            process = self._process
            if process is not None and process.poll() is not None:
                raise RuntimeError(f"the stack ended with code {process.returncode}:\n{self.output()}")
            return re.search(r"^ready", self.output(), re.MULTILINE) is not None

        try:
            eventually_blocking(said_ready, timeout_seconds, message="ready line")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()}") from None

    def wait_answering(self, timeout_seconds: float = 30.0) -> None:
        """Wait until a call through the gateway would be answered, and by the demo upstream."""
        for service in ("gateway", "upstream"):
            eventually_blocking(lambda: self.is_ready(service), timeout_seconds, message=f"{service} ready")  # noqa: B023  run at once

    def is_ready(self, service: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[service]}/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        """Stop it as Ctrl-C or a service manager would; returns its exit code, None if it was never started.

        Raises:
            TimeoutExpired: it hangs.
        """
        process = self._process
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def output(self) -> str:
        """What the supervisor has written to its standard streams since the last start."""
        return self._output.read_text(errors="replace") if self._output.exists() else ""

    @property
    def supervisor_pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    # --- processes ---

    def processes(self) -> dict[str, int]:
        """Pids by service, as `make -s ps` tells them."""
        listed = self.run_module("local_run.commands.ps")
        return {entry["service"]: entry["pid"] for entry in map(json.loads, listed.stdout.splitlines())}

    def pid(self, service: str) -> int:
        return self.processes()[service]

    def kill(self, service: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to a service's process; returns its pid."""
        pid = self.pid(service)
        os.kill(pid, number)
        return pid

    def wait_restarted(self, service: str, old_pid: int, timeout_seconds: float = 15.0) -> int:
        """Wait until another process does the service's work; returns its pid."""
        return eventually_blocking(
            lambda: pid if (pid := self.processes().get(service)) not in (None, old_pid) else None,
            timeout_seconds,
            message=f"{service} restarted",
        )

    # --- operators ---

    def operate(self, verb: str, **values: object) -> subprocess.CompletedProcess[str]:
        """An operator command as `make` runs it; values as make variables (`ACCOUNT="ana"`)."""
        given = {f"SOLARIS_OPERATE_{name}": str(value) for name, value in values.items() if value is not None}
        return self.run_module("local_run.commands.operate", verb, environment=given)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`make -s …` in the repository, against this stack."""
        return self._run(["make", "-s", *arguments])

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """A line as pasted into a shell in the repository, against this stack."""
        return self._run(["bash", "-c", line])

    def operator_environment(self) -> dict[str, str]:
        """What `make -s env` exports: URLs with operator rights, ports and settings."""
        exported = self._succeeded(self.run_module("local_run.commands.env")).stdout
        lines = (shlex.split(line)[1] for line in exported.splitlines() if line.startswith("export "))
        return dict(line.split("=", 1) for line in lines)

    def owner_database_url(self) -> str:
        """The database with its owner's rights, which no command hands out."""
        password = json.loads((self.directory / "secrets.json").read_bytes())["postgres_owner"]
        return f"postgresql://solaris:{password}@127.0.0.1:{self.ports['postgres']}/solaris"

    def run_module(
        self, module: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, "-m", module, *arguments], environment)

    def _run(
        self, command: list[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env={**self._environment, **(environment or {})},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def balance(self, account: str, at: str | None = None) -> dict[str, Any]:
        return self._one_object(self.operate("balance", ACCOUNT=account, AT=at))

    def credit(self, account: str, tokens: int, reason: str = "test", key: str | None = None) -> dict[str, Any]:
        return self._one_object(self.operate("credit", ACCOUNT=account, TOKENS=tokens, REASON=reason, KEY=key, NEW=1))

    def limit(self, account: str, tokens: int) -> dict[str, Any]:
        return self._one_object(self.operate("limit", ACCOUNT=account, TOKENS=tokens, NEW=1))

    def plan(self, account: str, name: str) -> dict[str, Any]:
        return self._one_object(self.operate("plan", ACCOUNT=account, PLAN=name, NEW=1))

    def set_status(self, verb: str, account: str, reason: str = "test") -> dict[str, Any]:
        """`verb` is suspend, activate or block."""
        return self._one_object(self.operate(verb, ACCOUNT=account, REASON=reason, NEW=1))

    def events(
        self, account: str | None = None, start: int | None = None, end: int | None = None
    ) -> list[dict[str, Any]]:
        listed = self._succeeded(self.operate("events", ACCOUNT=account, FROM=start, TO=end))
        return [json.loads(line) for line in listed.stdout.splitlines()]

    def wait_settled(self, account: str, timeout_seconds: float = 15.0) -> dict[str, Any]:
        """The balance once nothing of the account is in flight; only right after its calls have been answered."""
        return eventually_blocking(
            lambda: balance if (balance := self.balance(account))["held"] == 0 else None,
            timeout_seconds,
            message=f"usage of {account} settled",
        )

    def _one_object(self, completed: subprocess.CompletedProcess[str]) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._succeeded(completed).stdout)
        return answer

    @staticmethod
    def _succeeded(completed: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
        assert completed.returncode == 0, f"{completed.args}: {completed.stderr}"
        return completed

    # --- what people and programs see ---

    @property
    def gateway_url(self) -> str:
        """Base of the OpenAI-compatible API, with `/v1`."""
        return f"http://127.0.0.1:{self.ports['gateway']}/v1"

    @property
    def mailbox_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['mailbox']}"

    @property
    def billing_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['billing']}"

    @property
    def stripe_url(self) -> str:
        """The demo Stripe: `/demo` steers it."""
        return f"http://127.0.0.1:{self.ports['stripe']}"

    @property
    def upstream_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['upstream']}"

    def headers(self, account: str, **more: str) -> dict[str, str]:
        """The headers by which LibreChat names a person."""
        return {"X-User-Id": account, "X-User-Email": email_of(account), "X-User-Name": account.title(), **more}

    def client(self, account: str, **headers: str) -> openai.OpenAI:
        """The official SDK as that person, without its retries."""
        return openai.OpenAI(
            base_url=self.gateway_url,
            api_key=KEY,
            default_headers=self.headers(account, **headers),
            max_retries=0,
            timeout=30,
        )

    def async_client(self, account: str, **headers: str) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            base_url=self.gateway_url,
            api_key=KEY,
            default_headers=self.headers(account, **headers),
            max_retries=0,
            timeout=30,
        )

    def mails(self, account: str, kind: str | None = None) -> list[dict[str, Any]]:
        """Summaries of the mails to that person, newest first (see `/api/messages`)."""
        query = f"?to={email_of(account)}" + (f"&kind={kind}" if kind else "")
        found: list[dict[str, Any]] = self.fetch_json(f"{self.mailbox_url}/api/messages{query}")
        return found

    def told(self, account: str) -> Counter[str]:
        """How often each kind was told to that person, as a mail's own or by the mail of a graver one."""
        told = Counter[str]()
        for summary in self.mails(account):
            headers = {name.lower(): value for name, value in self.mail(summary["id"])["headers"]}
            others = [kind.strip() for kind in headers.get("x-solaris-also", "").split(",")]
            told.update(kind for kind in (summary["kind"], *others) if kind)
        return told

    def mail(self, identifier: str) -> dict[str, Any]:
        """One mail with text, html and headers."""
        found: dict[str, Any] = self.fetch_json(f"{self.mailbox_url}/api/messages/{identifier}")
        return found

    def upstream_requests(self) -> list[dict[str, Any]]:
        """The last requests that the demo upstream got: {path, headers, body}, oldest first."""
        found: list[dict[str, Any]] = self.fetch_json(f"{self.upstream_url}/demo/requests")
        return found

    @staticmethod
    def fetch_json(url: str) -> Any:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)


def email_of(account: str) -> str:
    return f"{account}@example.com"


type NewStack = Callable[..., Stack]
