"""The whole stack as processes: the order in which they start, stand and stop."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from local_run import process
from local_run.console import Console
from local_run.data_folder import DataFolder, RecordedProcess
from local_run.database import DATABASE, OPERATOR_ROLE, ROLES, prepare_database
from local_run.disk_recovery import DiskRecovery
from local_run.leftovers import start_ticks
from local_run.log_file import LogFile
from local_run.log_lines import is_routine, render
from local_run.nats_authority import USERS
from local_run.nats_server import NatsServer
from local_run.ports import LOOPBACK
from local_run.postgres import PostgresServer
from local_run.probe import fetch_status
from local_run.process import Program
from local_run.services import (
    MIGRATED,
    SERVICES,
    Addresses,
    demo_upstream_program,
    local_base_url,
    mailbox_program,
    migration_program,
    operator_environment,
    service_program,
)
from local_run.settings import LocalSettings
from local_run.supervised import Supervised

STOP_ORDER: Final[tuple[tuple[tuple[str, ...], float], ...]] = (
    (("gateway",), 4.0),
    (("notifier", "ledger"), 2.0),
    (("upstream", "mailbox"), 0.5),
    (("nats",), 1.0),
    (("postgres",), 1.5),
)
"""Who stops together, and after how many seconds it is killed; 9 s in all."""

MIGRATION_TIMEOUT_SECONDS: Final = 600.0
_READY_POLL_SECONDS: Final = 0.05
_STILL_WAITING_SECONDS: Final = 15.0
_RECORD_RETRY_SECONDS: Final = 2.0


class StackError(Exception):
    """The stack can't be started; the text says why in one line."""


class Stack:
    """Every process of the local run, on one data folder that this process has locked."""

    def __init__(
        self,
        settings: LocalSettings,
        folder: DataFolder,
        ports: Mapping[str, int],
        secrets: Mapping[str, str],
        console: Console,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._secrets = secrets
        self._console = console
        self._logs: dict[str, LogFile] = {}
        self._running: dict[str, Supervised] = {}
        self._postgres = PostgresServer(
            directory=folder.path / "postgres", port=ports["postgres"], password=secrets["postgres_owner"]
        )
        self._nats = NatsServer(
            directory=folder.path / "nats",
            port=ports["nats"],
            passwords={user.name: secrets[f"nats_{user.name}"] for user in USERS},
        )
        self._disk_recovery = DiskRecovery(folder.path, self._restart_nats)
        self._record_is_old = False
        self._watching: list[asyncio.Task[None]] = []
        self.addresses = self._find_addresses(ports)

    def _find_addresses(self, ports: Mapping[str, int]) -> Addresses:
        """Addresses of our own servers, or of those that the environment names instead."""
        database, nats = self._outside_database, self._outside_nats
        return Addresses(
            ports=ports,
            host=self._settings.reachable_host,
            database_urls={
                service: database
                or self._postgres.url(DATABASE, user=role, password=self._secrets[f"postgres_{service}"], socket=True)
                for service, role in ROLES.items()
            },
            nats_urls={service: nats or self._nats.url(service) for service in SERVICES},
            owner_database_url=database or self._postgres.url(DATABASE),
            operator_database_url=database or self._own_operator_url,
            operator_nats_url=nats or self._nats.url(),
            upstream_url=self._settings.upstream_url or local_base_url(ports["upstream"]),
            smtp_url=self._settings.smtp_url or f"smtp://{LOOPBACK}:{ports['smtp']}",
        )

    @property
    def _outside_database(self) -> str | None:
        """None for our own address too: a shell may still have the exports of `make env`."""
        url = self._settings.database_url
        return None if url in {self._own_operator_url, self._postgres.url(DATABASE)} else url

    @property
    def _own_operator_url(self) -> str:
        return self._postgres.url(DATABASE, user=OPERATOR_ROLE, password=self._secrets["postgres_operator"])

    @property
    def _outside_nats(self) -> str | None:
        url = self._settings.nats_url
        return None if url == self._nats.url() else url

    async def start(self) -> None:
        """Start everything and return when a call through the gateway would be answered.

        Raises:
            StackError, PostgresError, NatsError: a part can't be set up.
        """
        self._folder.clear_run()
        watches = {"disk-recovery": self._disk_recovery.run(), "record": self._keep_record()}
        self._watching = [asyncio.create_task(watch, name=name) for name, watch in watches.items()]
        await asyncio.gather(self._start_helpers(), self._start_nats(), self._start_postgres())
        await asyncio.gather(*(self._migrate(service) for service in MIGRATED))
        for service in SERVICES:
            await self._start(service_program(service, self._folder, self.addresses, self._secrets))
        self._folder.save_operator_environment(operator_environment(self._folder, self.addresses))
        await self._wait_until_ready()

    async def stop(self) -> None:
        """Stop everything in order, within the sum of the times of `STOP_ORDER`."""
        for task in self._watching:
            task.cancel()
        for names, seconds in STOP_ORDER:
            stops = (self._running[name].stop(seconds) for name in names if name in self._running)
            for failure in await asyncio.gather(*stops, return_exceptions=True):
                if failure is not None:  # the next ones stop all the same
                    self._log("local_run", f"a stop failed: {failure!r}".encode())
        with contextlib.suppress(OSError):
            self._folder.clear_run()
        for log in self._logs.values():
            log.close()

    def kill(self) -> None:
        """End everything at once; what is durable stays durable."""
        for supervised in self._running.values():
            if supervised.pid is not None:
                number = signal.SIGQUIT if supervised.program.name == "postgres" else signal.SIGKILL
                with contextlib.suppress(ProcessLookupError):
                    os.kill(supervised.pid, number)

    async def _start_helpers(self) -> None:
        if self._settings.upstream_url is None:
            await self._start(demo_upstream_program(self._folder, self.addresses))
        if self._settings.smtp_url is None:
            await self._start(mailbox_program(self._folder, self.addresses))

    async def _start_nats(self) -> None:
        if self._outside_nats is not None:
            return
        self._nats.initialise()
        await self._nats.wait_until_ready(await self._start(self._nats.program()))

    def _restart_nats(self) -> None:
        pid = self._running["nats"].pid
        if pid is not None:
            self._log("local_run", b"the disk has room again: restarting nats, which does not recover by itself")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)

    async def _start_postgres(self) -> None:
        if self._outside_database is not None:
            return
        await self._postgres.initialise()
        await self._postgres.wait_until_ready(
            await self._start(self._postgres.program(), self._postgres.remove_stale_lock)
        )
        passwords = {service: self._secrets[f"postgres_{service}"] for service in ROLES}
        await prepare_database(self._postgres, passwords, self._secrets["postgres_operator"])

    async def _start(self, program: Program, prepare: Callable[[], None] | None = None) -> asyncio.subprocess.Process:
        supervised = Supervised(program, on_line=self._log, on_change=self._record_processes, prepare=prepare)
        self._running[program.name] = supervised
        return await supervised.start()

    async def _migrate(self, service: str) -> None:
        program = migration_program(service, self._folder, self.addresses)
        child = await process.start(program, output=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(MIGRATION_TIMEOUT_SECONDS):
                output, _ = await child.communicate()
        except TimeoutError:
            raise StackError(f"the {program.name} did not end within {MIGRATION_TIMEOUT_SECONDS:g} s") from None
        finally:
            if child.returncode is None:
                child.kill()
        lines = output.splitlines()
        # What a failure comes to stands in its last line, and is told once.
        reason = lines.pop().decode(errors="replace") if child.returncode != 0 and lines else "no output"
        for line in lines:
            self._log("migrate", line)
        if child.returncode != 0:
            raise StackError(f"the {program.name} failed with code {child.returncode}: {reason}")

    async def _wait_until_ready(self) -> None:
        said_at = time.monotonic()
        while True:
            waiting_for = [name for name in SERVICES if not await self._is_ready(name)]
            if not waiting_for:
                return
            if time.monotonic() - said_at > _STILL_WAITING_SECONDS:
                said_at = time.monotonic()
                _, reason = await self._fetch_readiness(waiting_for[-1])
                self._log("local_run", f"still waiting for {', '.join(waiting_for)}: {reason}".encode())
            await asyncio.sleep(_READY_POLL_SECONDS)

    async def _is_ready(self, service: str) -> bool:
        status, _ = await self._fetch_readiness(service)
        return status == 200

    async def _fetch_readiness(self, service: str) -> tuple[int, str]:
        return await fetch_status(self.addresses.ports[service], "/health/ready", self.addresses.host)

    def _log(self, service: str, line: bytes) -> None:
        if service not in self._logs:
            self._logs[service] = LogFile(self._folder.path / "logs" / f"{service}.log")
        self._logs[service].write(line)
        if service == "nats":
            self._disk_recovery.see(line)
        text = line.decode(errors="replace")
        if text.strip() and not is_routine(service, text):
            self._console.log(render(service, text, datetime.now(UTC).astimezone(), colour=self._console.is_terminal))

    def _record_processes(self) -> None:
        """Write down what runs. A full disk keeps nothing from running: it is said once, and tried again later."""
        pids = {name: pid for name, one in self._running.items() if (pid := one.pid) is not None}
        try:
            self._folder.save_processes({name: RecordedProcess(pid, start_ticks(pid)) for name, pid in pids.items()})
        except OSError as error:
            if not self._record_is_old:
                self._log("local_run", f"`make ps` is not up to date: {error.strerror}; all runs on".encode())
            self._record_is_old = True
        else:
            self._record_is_old = False

    async def _keep_record(self) -> None:
        while True:
            await asyncio.sleep(_RECORD_RETRY_SECONDS)
            if self._record_is_old:
                self._record_processes()
