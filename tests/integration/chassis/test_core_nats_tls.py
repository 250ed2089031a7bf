"""The client of core NATS over TLS."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from chassis.core_nats.client import CoreNats
from chassis.core_nats.wire import Message
from local_run.ports import any_free
from local_run.servers.nats_authority import USERS
from local_run.servers.nats_server import NatsServer
from local_run.supervision import process

from tests.integration.chassis.scripted_nats import Visit, scripted_nats
from tests.support.eventually import eventually


@pytest_asyncio.fixture(scope="module")
async def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signed by itself, for 127.0.0.1; its key lies beside it as `key.pem`."""
    directory = tmp_path_factory.mktemp("certificate")
    path = directory / "certificate.pem"
    openssl = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "2", "-subj", "/CN=solaris", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-keyout", str(directory / "key.pem"), "-out", str(path)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await openssl.wait() == 0
    return path


@pytest_asyncio.fixture(scope="module")
async def tls_server(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer]:
    """A server that serves nobody in the clear."""
    server = NatsServer(
        directory=tmp_path_factory.mktemp("tls") / "nats",
        port=any_free(),
        passwords={user.name: user.name for user in USERS},
    )
    server.initialise()
    with (server.directory / "nats.conf").open("a") as configuration:
        configuration.write(f'tls {{ cert_file: "{certificate}", key_file: "{certificate.with_name("key.pem")}" }}\n')
    program = server.program()
    child = await process.start(program, output=asyncio.subprocess.DEVNULL)
    await server.wait_until_ready(child)
    yield server
    await process.stop(child, program, 5)


@pytest.mark.parametrize("scheme", ["tls", "nats"])
async def test_a_server_that_demands_tls_gets_it(
    tls_server: NatsServer, certificate: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # whom OpenSSL trusts by default
    url = tls_server.url().replace("nats:", f"{scheme}:")
    heard: list[Message] = []
    async with CoreNats(url, service="operator") as client:
        assert await client.wait_connected(5)
        client.subscribe("echo", lambda message: client.publish(message.reply, message.payload))
        client.subscribe("large", heard.append)
        assert await client.request("echo", b"encrypted", seconds=5) == b"encrypted"
        async with CoreNats(url, service="operator") as leaving:
            assert await leaving.wait_connected(5)
            for _ in range(4):
                leaving.publish("large", b"x" * 1_000_000)
        await eventually(lambda: len(heard) == 4)


async def test_a_certificate_of_nobody_trusted_is_refused(tls_server: NatsServer) -> None:
    async with CoreNats(tls_server.url().replace("nats:", "tls:"), service="operator") as client:
        assert not await client.wait_connected(0.7)


async def test_a_password_is_never_sent_in_the_clear_where_tls_was_asked_for() -> None:
    async def without_tls(_: int, visit: Visit) -> None:
        visit.say(b"INFO {}\r\n")
        visit.heard.append(await visit.reader.read(16))
        visit.say(b"PONG\r\n-ERR 'Unknown Protocol Operation'\r\n")

    async with scripted_nats(without_tls) as scripted:
        async with CoreNats(scripted.url.replace("nats:", "tls:"), service="operator") as client:
            await eventually(lambda: len(scripted.visits) == 2)
            assert not client.is_connected
        assert scripted.visits[0].heard[0].startswith(b"\x16\x03"), "a TLS client hello"


@pytest.mark.parametrize("injected", [b"MSG work 2 5\r\nhello\r\n", b"MSG work 2 5\r\n"])
async def test_what_came_before_encryption_is_no_message(
    tls_server: NatsServer, certificate: Path, monkeypatch: pytest.MonkeyPatch, injected: bytes
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def in_the_middle(_: int, visit: Visit) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", tls_server.port)
        try:
            visit.say(await upstream_reader.readline() + injected)
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(upstream_reader, visit.writer))
                both.create_task(_copy(visit.reader, upstream_writer))
        finally:
            upstream_writer.close()

    heard: list[Message] = []
    async with scripted_nats(in_the_middle) as scripted:
        url = tls_server.url().replace("nats:", "tls:").replace(str(tls_server.port), str(scripted.port))
        async with CoreNats(url, service="operator") as client:
            client.subscribe("work", heard.append)
            if await client.wait_connected(0.7):
                await client.flush(5)
    assert heard == []


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()
