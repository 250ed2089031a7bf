"""The data folder: its lock, the ports and secrets chosen once, and what runs on it now."""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from local_run.parts import Service
from local_run.services import OPERATOR, SERVICES
from local_run.settings import LocalSettings

DEMO_STRIPE_SECRETS: Final = ("stripe_key", "stripe_webhook")
"""For its API, and for what it signs."""
SECRET_BYTES: Final = 32
"""As many as a key of Ed25519 has."""
MIN_FREE_BYTES: Final = 128 * 2**20
"""What a new folder takes within its first minutes, and a little."""


class DataFolderError(Exception):
    """The folder can't be used; the text says why in one line."""


class RecordedProcess(NamedTuple):
    """A process that the supervisor started; `started_ticks` tells it from a later one with the same pid."""

    pid: int
    started_ticks: int


class DataFolder:
    """`SOLARIS_DATA_DIR`, private to the user that runs the stack."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "DataFolder":
        return cls(LocalSettings.load(environment).data_dir)

    def create(self) -> None:
        """Create the folder; as root others may pass through it, since Postgres then runs as another user."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.mkdir(mode=0o711 if os.getuid() == 0 else 0o700, exist_ok=True)
            for name in ("logs", "mail"):
                (self.path / name).mkdir(mode=0o700, exist_ok=True)
            free = shutil.disk_usage(self.path).free
        except OSError as error:
            raise DataFolderError(f"cannot use the data folder {self.path}: {error.strerror}") from error
        if free < MIN_FREE_BYTES and not (self.path / "secrets.json").exists():  # one that is in use is tried
            raise DataFolderError(
                f"the disk of {self.path} has {free // 2**20} MB left, and a new data folder needs "
                f"{MIN_FREE_BYTES // 2**20}; make room, or set SOLARIS_DATA_DIR"
            )

    def lock(self) -> int:
        """Take the folder for this process; the lock ends with the process. Returns the descriptor to keep open.

        Raises:
            DataFolderError: another supervisor runs on it.
        """
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise DataFolderError(
                f"already running on {self.path} (pid {pid}); stop it first, or set SOLARIS_DATA_DIR"
            ) from None
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return descriptor

    def is_in_use(self) -> bool:
        """Whether a supervisor runs on it now."""
        try:
            descriptor = os.open(self._lock_path, os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def load_secrets(self) -> dict[str, str]:
        """Every secret of the local run; those that are missing are made up and kept."""
        path = self.path / "secrets.json"
        known: dict[str, str] = _read_json(path)
        missing = [name for name in secret_names(SERVICES) if name not in known]
        if missing:
            known |= {name: secrets.token_hex(SECRET_BYTES) for name in missing}
            _write_json(path, known)
        return known

    def load_ports(self) -> dict[str, int]:
        """The ports of the last run by name; empty at first."""
        path = self.path / "ports.json"
        ports: dict[str, int] = _read_json(path)
        if not all(isinstance(port, int) and 0 < port < 65536 for port in ports.values()):
            raise DataFolderError(f"cannot read {path}: it must map names to ports; without it they are chosen anew")
        return ports

    def save_ports(self, ports: Mapping[str, int]) -> None:
        _write_json(self.path / "ports.json", ports)

    def load_processes(self) -> dict[str, RecordedProcess]:
        """What runs, by service, as the supervisor last wrote it."""
        path = self.path / "processes.json"
        recorded: dict[str, list[int]] = _read_json(path)
        try:
            return {service: RecordedProcess(*map(int, numbers)) for service, numbers in recorded.items()}
        except (TypeError, ValueError):
            raise DataFolderError(f"cannot read {path}: it must map names to pids; it may be removed") from None

    def save_processes(self, processes: Mapping[str, RecordedProcess]) -> None:
        _write_json(self.path / "processes.json", processes)

    def load_operator_environment(self) -> dict[str, str]:
        """`SOLARIS_…` variables with which a command acts on the running stack with operator rights.

        Raises:
            DataFolderError: no stack runs here.
        """
        environment: dict[str, str] = _read_json(self.path / "operator.json")
        if not environment or not self.is_in_use():
            raise DataFolderError(
                f"no stack runs on {self.path}: start one with `make run`, "
                "or set SOLARIS_DATABASE_URL and SOLARIS_NATS_URL"
            )
        return environment

    def save_operator_environment(self, environment: Mapping[str, str]) -> None:
        _write_json(self.path / "operator.json", environment)

    def clear_run(self) -> None:
        """Forget what ran."""
        for name in ("operator.json", "processes.json"):
            (self.path / name).unlink(missing_ok=True)

    @property
    def _lock_path(self) -> Path:
        return self.path / "supervisor.lock"


def secret_names(services: Iterable[Service]) -> list[str]:
    """Of the servers' users, of the demo Stripe, and of the services, which have theirs under their own name."""
    names = ["postgres_owner", f"postgres_{OPERATOR}", f"nats_{OPERATOR}", *DEMO_STRIPE_SECRETS]
    for service in services:
        names.append(f"nats_{service.name}")
        names += [f"postgres_{service.name}"] if service.role else []
        names += [service.name] if service.secret else []
        names += [name for each in service.shared_secrets if (name := shared_secret_name(each)) not in names]
    return names


def shared_secret_name(variable: str) -> str:
    """`SOLARIS_LINK_KEYS` is kept as `link_keys`."""
    return variable.removeprefix("SOLARIS_").lower()


def _read_json(path: Path) -> Any:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataFolderError(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict):
        raise DataFolderError(f"cannot read {path}: it holds no JSON object")
    return content


def _write_json(path: Path, value: object) -> None:
    write_private(path, json.dumps(value, indent=1))


def write_private(path: Path, text: str) -> None:
    """Replace the file at once and durably; only its owner can read it."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
