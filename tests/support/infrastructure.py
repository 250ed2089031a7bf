"""Real Postgres and NATS for tests: embedded, or in containers where SOLARIS_TEST_INFRA=containers asks for them."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import nats
from chassis.core_nats.client import CoreNats
from chassis.ids import new_uuid7
from local_run.servers.nats_server import running_nats
from local_run.servers.postgres import running_postgres
from nats.js.errors import NotFoundError

POSTGRES_IMAGE = "postgres:18"
NATS_IMAGE = "nats:2.15-alpine"


@dataclass(frozen=True, slots=True)
class Postgres:
    """`admin_url` may create databases and roles."""

    admin_url: str

    def url(self, database: str) -> str:
        return urlunsplit(urlsplit(self.admin_url)._replace(path=f"/{database}"))

    async def create_database(self, name: str) -> str:
        """An empty database of that name; one that is there is dropped. Returns its URL, with owner rights."""
        connection = await asyncpg.connect(self.admin_url, timeout=10)
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            await connection.execute(f'CREATE DATABASE "{name}"')
        finally:
            await connection.close()
        return self.url(name)

    @contextlib.asynccontextmanager
    async def copied(self, template: str) -> AsyncIterator[str]:
        """The URL of a copy of a database that nobody uses; it goes with the block."""
        name = f"{template}_{new_uuid7()[-12:]}"
        connection = await asyncpg.connect(self.admin_url, timeout=10)
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
            yield self.url(name)
            await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        finally:
            await connection.close()

    async def drop_database(self, name: str) -> None:
        connection = await asyncpg.connect(self.admin_url, timeout=10)
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            await connection.close()


def containers_wanted() -> bool:
    """Whether the environment asks for containers; anything but the two known words is an error."""
    wanted = os.environ.get("SOLARIS_TEST_INFRA", "embedded")
    if wanted not in {"embedded", "containers"}:
        raise RuntimeError(f"SOLARIS_TEST_INFRA is {wanted!r}; it may be 'embedded' or 'containers'")
    return wanted == "containers"


def require_docker() -> None:
    """Fail, and say why, where containers are asked for and no engine answers: never another infrastructure."""
    import docker  # noqa: PLC0415  only where containers are asked for
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        docker.from_env(timeout=10).ping()
    except DockerException as error:
        raise RuntimeError(
            f"SOLARIS_TEST_INFRA=containers, but no Docker engine answers ({error}); start one or unset the variable"
        ) from error


@contextlib.asynccontextmanager
async def start_postgres(directory: Path) -> AsyncIterator[Postgres]:
    """A Postgres for the length of the block."""
    if containers_wanted():
        with _postgres_container() as url:
            yield Postgres(url)
    else:
        async with running_postgres(directory) as server:
            yield Postgres(server.url("postgres"))


@contextlib.asynccontextmanager
async def start_nats(directory: Path) -> AsyncIterator[str]:
    """A NATS with JetStream for the length of the block; the URL has all rights."""
    if containers_wanted():
        with _nats_container() as url:
            yield url
    else:
        async with running_nats(directory) as server:
            yield server.url()


@contextlib.contextmanager
def _postgres_container() -> Iterator[str]:
    require_docker()
    from testcontainers.postgres import PostgresContainer  # noqa: PLC0415  only where containers are asked for

    with PostgresContainer(
        POSTGRES_IMAGE, username="solaris", password="solaris", dbname="postgres", driver=None
    ) as container:
        yield container.get_connection_url()


@contextlib.contextmanager
def _nats_container() -> Iterator[str]:
    require_docker()
    from testcontainers.nats import NatsContainer  # noqa: PLC0415  only where containers are asked for

    with NatsContainer(NATS_IMAGE).with_command("--jetstream") as container:
        yield container.nats_uri()


@contextlib.asynccontextmanager
async def core_nats(nats_url: str, *, service: str = "operator") -> AsyncIterator[CoreNats]:
    """A connection of the client that the services use."""
    async with CoreNats(nats_url, service=service) as client:
        assert await client.wait_connected(10)
        yield client


async def wipe_streams(nats_url: str) -> None:
    """Delete every stream and its consumers."""
    client = await nats.connect(nats_url, connect_timeout=5)
    try:
        jetstream = client.jetstream(timeout=10)
        for stream in await jetstream.streams_info():
            with contextlib.suppress(NotFoundError):
                await jetstream.delete_stream(stream.config.name or "")
    finally:
        await client.close()
