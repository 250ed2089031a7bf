"""The whole stack as processes: the order in which they start, stand and stop."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from itertools import chain
from secrets import token_hex
from typing import Any, Final

from local_run.addresses import Addresses, local_base_url
from local_run.data_folder import DataFolder, RecordedProcess
from local_run.environments import Environments, demo_stripe_key
from local_run.parts import Part, Service, in_turns, start_order
from local_run.ports import LOOPBACK, PortLostError, is_free
from local_run.programs import (
    demo_stripe_program,
    demo_upstream_program,
    mailbox_program,
    migration_program,
    service_program,
)
from local_run.servers.database import DATABASE, OPERATOR_ROLE, ROLES, prepare_database
from local_run.servers.disk_recovery import DiskRecovery
from local_run.servers.nats_authority import USERS
from local_run.servers.nats_server import NatsServer
from local_run.servers.postgres import PostgresServer
from local_run.services import HELPERS, OPERATOR, PARTS, SERVICES
from local_run.settings import LocalSettings
from local_run.supervision import process
from local_run.supervision.console import Console
from local_run.supervision.leftovers import start_ticks
from local_run.supervision.log_file import LogFile
from local_run.supervision.log_lines import is_routine, render
from local_run.supervision.probe import fetch
from local_run.supervision.process import Program, ProgramError
from local_run.supervision.supervised import Supervised

MIGRATION_TIMEOUT_SECONDS: Final = 600.0
_READY_POLL_SECONDS: Final = 0.05
_STILL_WAITING_SECONDS: Final = 15.0
_RECORD_RETRY_SECONDS: Final = 2.0


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
        self.environments = Environments(
            given=os.environ, data_directory=folder.path, addresses=self.addresses, secrets=secrets
        )

    def _find_addresses(self, ports: Mapping[str, int]) -> Addresses:
        """Addresses of our own servers, or of those that the environment names instead."""
        database, nats = self._outside_database, self._outside_nats
        return Addresses(
            instance=token_hex(16),
            ports=ports,
            host=self._settings.reachable_host,
            database_urls={
                service: database
                or self._postgres.url(DATABASE, user=role, password=self._secrets[f"postgres_{service}"], socket=True)
                for service, role in ROLES.items()
            },
            nats_urls={service.name: nats or self._nats.url(service.name) for service in SERVICES},
            owner_database_url=database or self._postgres.url(DATABASE),
            operator_database_url=database or self._own_operator_url,
            operator_nats_url=nats or self._nats.url(),
            upstream_url=self._settings.upstream_url or local_base_url(ports["upstream"]),
            smtp_url=self._settings.smtp_url or f"smtp://{LOOPBACK}:{ports['smtp']}",
            demo_stripe_url=local_base_url(ports["stripe"]) if self._uses_demo_stripe else None,
        )

    @property
    def _outside_database(self) -> str | None:
        """None for our own address too: a shell may still have the exports of `make env`."""
        url = self._settings.database_url
        return None if url in {self._own_operator_url, self._postgres.url(DATABASE)} else url

    @property
    def _own_operator_url(self) -> str:
        return self._postgres.url(DATABASE, user=OPERATOR_ROLE, password=self._secrets[f"postgres_{OPERATOR}"])

    @property
    def _outside_nats(self) -> str | None:
        url = self._settings.nats_url
        return None if url == self._nats.url() else url

    @property
    def _uses_demo_stripe(self) -> bool:
        """With the demo's own key too: a shell may still have the exports of `make env`."""
        return self._settings.demo_stripe and self._settings.stripe_api_key in {None, demo_stripe_key(self._secrets)}

    async def start(self) -> None:
        """Start everything and return when a call through the gateway would be answered.

        Raises:
            ProgramError: a part can't be set up.
            PortLostError: another program listens where a part of ours should.
        """
        self._folder.clear_run()
        watches = {"disk-recovery": self._disk_recovery.run(), "record": self._keep_record()}
        self._watching = [asyncio.create_task(watch, name=name) for name, watch in watches.items()]
        await _together(self._start_helpers(), self._start_nats(), self._start_postgres())
        await _together(*(self._migrate(service) for service in SERVICES if service.migrates))
        for service in start_order(SERVICES):
            await self._start(service_program(service, self.environments))
        self._folder.save_operator_environment(self.environments.of_operator())
        await self._wait_until_ready()

    async def stop(self) -> None:
        """Stop everything in order, within the sum of the times of all turns."""
        for task in self._watching:
            task.cancel()
        for together in in_turns(PARTS):
            stops = (one.stop(part.stop_seconds) for part in together if (one := self._running.get(part.name)))
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
            supervised.let_go()
        # In the order of a stop: none shall still see another die, and take that for news.
        for part in chain.from_iterable(in_turns(PARTS)):
            if (one := self._running.get(part.name)) is not None and one.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, one.program.death_signal)

    async def _start_helpers(self) -> None:
        if self._settings.upstream_url is None:
            await self._start(demo_upstream_program(self.environments))
        if self._settings.smtp_url is None:
            await self._start(mailbox_program(self.environments))
        if self.addresses.demo_stripe_url is not None:
            await self._start(demo_stripe_program(self.environments))

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
        await prepare_database(self._postgres, passwords, self._secrets[f"postgres_{OPERATOR}"])

    async def _start(self, program: Program, prepare: Callable[[], None] | None = None) -> asyncio.subprocess.Process:
        supervised = Supervised(program, on_line=self._log, on_change=self._record_processes, prepare=prepare)
        self._running[program.name] = supervised
        return await supervised.start()

    async def _migrate(self, service: Service) -> None:
        program = migration_program(service, self.environments)
        code, output = await process.run_to_end(program, MIGRATION_TIMEOUT_SECONDS)
        lines = output.splitlines()
        # What a failure comes to stands in its last line, and is told once.
        reason = lines.pop() if code != 0 and lines else "no output"
        for line in lines:
            self._log("migrate", line.encode())
        if code != 0:
            raise ProgramError(f"the {program.name} failed with code {code}: {reason}")

    async def _wait_until_ready(self) -> None:
        said_at = time.monotonic()
        while True:
            # A helper that something else stands in for is not asked.
            asked = [part for part in (*HELPERS, *SERVICES) if part.name in self._running]
            reasons = {part.name: why for part in asked if (why := await self._why_not_ready(part)) is not None}
            if not reasons:
                return
            if time.monotonic() - said_at > _STILL_WAITING_SECONDS:
                said_at = time.monotonic()
                told = "; ".join(f"{name} ({why})" for name, why in reasons.items())
                self._log("local_run", f"still waiting for {told}".encode())
            await asyncio.sleep(_READY_POLL_SECONDS)

    async def _why_not_ready(self, part: Part) -> str | None:
        """None when our own process is ready.

        Raises:
            PortLostError: somebody else listens where it should.
        """
        port = self.addresses.ports[part.name]
        host, path = (self.addresses.host, "/health/ready") if isinstance(part, Service) else (LOOPBACK, "/health/live")
        answer = await fetch(port, path, host)
        if answer.status != 0 and answer.instance != self.addresses.instance:
            raise PortLostError(part.name, port)
        if self._running[part.name].pid is None:  # it ends at once: who listens there now is not ours
            for name in part.ports:
                if not is_free(self.addresses.ports[name], host):
                    raise PortLostError(name, self.addresses.ports[name])
        return None if answer.status == 200 else _told(answer.body)

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


async def _together(*works: Coroutine[Any, Any, None]) -> None:
    """All at once; when one fails the others end before its error is raised, and start nothing more."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _told(body: str) -> str:
    """What a service says of its readiness, in a person's words."""
    try:
        failing = json.loads(body)["failing"]
        return "; ".join(f"{part}: {reason}" for part, reason in failing.items())
    except (ValueError, LookupError, TypeError, AttributeError):
        return body or "no answer"
