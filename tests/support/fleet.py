"""Two ledgers and two gateways on one stack: what the local run starts, and a second process of each beside it."""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from local_run.ports import any_free

from tests.support.eventually import eventually_blocking
from tests.support.stack import Stack

DOUBLED = ("ledger", "gateway")
STOP_TIMEOUT_SECONDS = 15.0


class SecondProcess:
    """Another process of one service, with the first one's environment but a port and a folder of its own."""

    def __init__(self, stack: Stack, service: str) -> None:
        self.service = service
        self.port = any_free()
        self._directory = stack.directory.with_name(f"{stack.directory.name}.{service}-2")
        self._directory.mkdir(parents=True, exist_ok=True)
        self._environment = {
            **_environment_of(stack.pid(service)),
            f"SOLARIS_{service.upper()}_PORT": str(self.port),
            "SOLARIS_DATA_DIR": str(self._directory),
        }
        self._log = self._directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._restarting = threading.Lock()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.service],
                env=self._environment,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def restart_if_ended(self) -> bool:
        """What a supervisor does; True when it was needed."""
        with self._restarting:  # several threads look after it: one of them starts it
            if self._process is None or self._process.poll() is None:
                return False
            self.start()
            return True

    def stop(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def output(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


class Fleet:
    """The stack's own ledger and gateway are number 0, the second ones number 1."""

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self.stack = Stack(directory, environment)
        self.second: dict[str, SecondProcess] = {}

    def start(self) -> "Fleet":
        self.stack.start()
        for service in DOUBLED:
            self.second[service] = SecondProcess(self.stack, service)
            self.second[service].start()
        for service in DOUBLED:
            eventually_blocking(lambda: self.is_ready(service, 1), 30, message=f"second {service} ready")  # noqa: B023  run at once
        return self

    def stop(self) -> None:
        for second in self.second.values():
            second.stop()
        self.stack.stop()

    def port(self, service: str, number: int) -> int:
        return self.stack.ports[service] if number == 0 else self.second[service].port

    def pid(self, service: str, number: int) -> int:
        return self.stack.pid(service) if number == 0 else self.second[service].pid

    def is_ready(self, service: str, number: int) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port(service, number)}/health/ready", timeout=3
            ) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def wait_ready(self, service: str, number: int, timeout_seconds: float = 30.0) -> float:
        """Wait until that process is ready, restarting a second one that ended; returns the seconds that it took."""
        started = time.monotonic()

        def ready() -> bool:
            if number:
                self.second[service].restart_if_ended()
            return self.is_ready(service, number)

        eventually_blocking(ready, timeout_seconds, message=f"{service} {number} ready")
        return time.monotonic() - started


def _environment_of(pid: int) -> dict[str, str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(entry.decode().split("=", 1) for entry in entries if b"=" in entry) | {"PATH": os.environ["PATH"]}
