"""The HTTP/1.1 client of the data path, against servers that split, chunk, close and break their answers."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from gateway.upstream.client import USER_TIMEOUT_SECONDS, UpstreamClient, UpstreamUnreachableError
from gateway.upstream.connection import MAX_HEADER_BYTES, PAUSE_BYTES, UpstreamError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.gateway.gateway_process import free_port
from tests.support.eventually import eventually

type Serve = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.open = 0
        self.url = ""


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[Server]:
    server = Server()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        server.open += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                body = await reader.readexactly(int(lengths[0]) if lengths else 0)
                server.requests.append(head + body)
                await serve(head + body, reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            server.open -= 1
            writer.close()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0, limit=2**20)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()


def answering(*pieces: bytes, pause: bool = False) -> Serve:
    async def serve(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            if pause:
                await writer.drain()
                await asyncio.sleep(0)

    return serve


def closing(*pieces: bytes) -> Serve:
    async def serve(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(pieces))
        await writer.drain()
        writer.close()

    return serve


def client_of(url: str, **waits: float) -> UpstreamClient:
    return UpstreamClient(url, connect_seconds=waits.get("connect", 2), idle_seconds=waits.get("idle", 4))


async def fetch(client: UpstreamClient, body: bytes = b"{}") -> tuple[int, bytes]:
    async with asyncio.timeout(5), client.request(b"POST", b"/v1/x", [(b"a", b"b")], body) as answer:
        return answer.status, await answer.read_all(10**7)


WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 11\r\n\r\nhello world"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nhello \r\n5;x=y\r\nworld\r\n0\r\nt: 1\r\n\r\n"


async def test_request_is_written_as_given() -> None:
    async with serving(answering(WHOLE)) as server, client_of(server.url + "/prefix/") as client:
        assert await fetch(client, b'{"x":1}') == (200, b"hello world")
        assert server.requests[0] == (
            b"POST /prefix/v1/x HTTP/1.1\r\nhost: " + server.url[7:].encode() + b"\r\na: b\r\ncontent-length: 7\r\n\r\n"
            b'{"x":1}'
        )


@given(st.sampled_from([WHOLE, CHUNKED]), st.sets(st.integers(1, len(CHUNKED)), max_size=8))
@settings(max_examples=30, deadline=None)
def test_answer_is_the_same_however_it_is_split(answer: bytes, cuts: set[int]) -> None:
    edges = sorted({0, len(answer), *(cut for cut in cuts if cut < len(answer))})
    pieces = [answer[start:end] for start, end in pairwise(edges)]

    async def run() -> None:
        async with serving(answering(*pieces, pause=True)) as server, client_of(server.url) as client:
            for _ in range(2):
                assert await fetch(client) == (200, b"hello world")
            assert server.connections == 1

    asyncio.run(run())


@given(st.lists(st.booleans(), max_size=12), st.sets(st.integers(1, len(CHUNKED)), max_size=8))
@settings(max_examples=30, deadline=None)
def test_what_a_taker_refuses_is_read_in_its_place(takes: list[bool], cuts: set[int]) -> None:
    edges = sorted({0, len(CHUNKED), *(cut for cut in cuts if cut < len(CHUNKED))})
    pieces = [CHUNKED[start:end] for start, end in pairwise(edges)]
    received: list[bytes] = []
    willing = iter(takes)

    def take(data: bytes) -> bool:
        taken = next(willing, False)
        if taken:
            received.append(data)
        return taken

    async def run() -> None:
        async with serving(answering(*pieces, pause=True)) as server, client_of(server.url) as client:
            async with asyncio.timeout(5), client.request(b"POST", b"/", []) as answer:
                answer.hand_to(take)
                while data := await answer.read():
                    received.append(data)
            assert b"".join(received) == b"hello world"
            assert await fetch(client) == (200, b"hello world")
            assert server.connections == 1

    asyncio.run(run())


async def test_connection_is_used_again_after_a_complete_answer() -> None:
    async with serving(answering(CHUNKED)) as server, client_of(server.url) as client:
        for _ in range(5):
            assert await fetch(client) == (200, b"hello world")
        assert server.connections == 1
        await asyncio.gather(*(fetch(client) for _ in range(4)))
        assert server.connections <= 4


async def test_answer_without_a_length_ends_with_its_connection() -> None:
    async with serving(closing(b"HTTP/1.1 200 OK\r\n\r\nhello world")) as server, client_of(server.url) as client:
        assert await fetch(client) == (200, b"hello world")
        assert await fetch(client) == (200, b"hello world")
        assert server.connections == 2


async def test_connection_that_the_server_closes_is_not_used_again() -> None:
    close = WHOLE.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
    async with serving(answering(close)) as server, client_of(server.url) as client:
        assert await fetch(client) == (200, b"hello world")
        assert await fetch(client) == (200, b"hello world")
        assert server.connections == 2


async def test_idle_connection_that_was_closed_meanwhile_is_not_used() -> None:
    async def serve(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(WHOLE)
        await writer.drain()
        asyncio.get_running_loop().call_soon(writer.close)

    async with serving(serve) as server, client_of(server.url) as client:
        for _ in range(3):
            assert await fetch(client) == (200, b"hello world")
            await eventually(lambda: server.open == 0)
            await asyncio.sleep(0)


async def test_idle_connections_are_closed_after_their_time() -> None:
    async with serving(answering(WHOLE)) as server, client_of(server.url, idle=0.1) as client:
        await asyncio.gather(*(fetch(client) for _ in range(3)))
        await eventually(lambda: server.open == 0)


async def test_interim_answers_are_passed_over() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    async with serving(answering(early, WHOLE, pause=True)) as server, client_of(server.url) as client:
        assert await fetch(client) == (200, b"hello world")


async def test_answer_without_a_body() -> None:
    async with serving(answering(b"HTTP/1.1 204 No Content\r\n\r\n")) as server, client_of(server.url) as client:
        assert await fetch(client) == (204, b"")
        assert await fetch(client) == (204, b"")


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nhello world",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nhh",
    ],
)
async def test_broken_answer_is_an_error(broken: bytes) -> None:
    async with serving(closing(broken)) as server, client_of(server.url) as client:
        with pytest.raises(UpstreamError):
            await fetch(client)


@pytest.mark.parametrize("status", [0, 99, 600, 799, 999])
async def test_status_that_does_not_exist_is_an_error_at_once(status: int) -> None:
    """Though the server keeps the connection: no client could be told it."""
    answer = b"HTTP/1.1 %03d Odd\r\ncontent-length: 2\r\n\r\n{}" % status
    async with serving(answering(answer)) as server, client_of(server.url) as client, asyncio.timeout(10):
        with pytest.raises(UpstreamError, match=f"status {status}"):
            await fetch(client)
        await eventually(lambda: server.open == 0, message="connection closed")


async def test_what_arrived_before_the_break_is_handed_out() -> None:
    start = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"
    async with (
        serving(closing(start)) as server,
        client_of(server.url) as client,
        client.request(b"POST", b"/", []) as answer,
    ):
        assert await answer.read() == b"hello"
        with pytest.raises(UpstreamError):
            await answer.read()


async def test_endless_headers_and_too_long_answers_are_errors() -> None:
    endless = b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * MAX_HEADER_BYTES + b"\r\n"
    async with serving(answering(endless)) as server, client_of(server.url) as client:
        with pytest.raises(UpstreamError):
            await fetch(client)
    async with serving(answering(WHOLE)) as server, client_of(server.url) as client:
        with pytest.raises(UpstreamError, match="too large"):
            async with client.request(b"POST", b"/", []) as answer:
                await answer.read_all(5)


async def test_endless_trailers_are_an_error() -> None:
    trailers = b"".join(b"t%d: x\r\n" % number for number in range(300_000))
    endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n" + trailers + b"\r\n"
    async with serving(answering(endless)) as server, client_of(server.url) as client:
        with pytest.raises(UpstreamError, match="trailers"):
            await fetch(client)


async def test_host_that_vanishes_is_noticed_by_the_system() -> None:
    async with serving(answering(WHOLE)) as server, client_of(server.url) as client:
        connection = await client.connect()
        assert connection.transport is not None
        connected = connection.transport.get_extra_info("socket")
        assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        seconds = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) + (
            connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
            * connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        )
        assert seconds <= USER_TIMEOUT_SECONDS
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == USER_TIMEOUT_SECONDS * 1000


@pytest.mark.parametrize(
    ("answer_begun", "kept", "sent"), [(b"", True, 3), (b"HTTP/1.1 200", True, 2), (b"", False, 1)]
)
async def test_request_is_sent_once_more_only_where_a_kept_connection_was_closed_without_a_byte(
    answer_begun: bytes, kept: bool, sent: int
) -> None:
    async def serve(request: bytes, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"closes" in request:
            writer.write(answer_begun)
            await writer.drain()
            writer.transport.abort()
        else:
            writer.write(WHOLE)

    async with serving(serve) as server, client_of(server.url) as client:
        if kept:
            await fetch(client)
        with pytest.raises(UpstreamError):
            await fetch(client, b"closes")
        assert len(server.requests) == sent


async def test_bytes_after_an_answer_are_never_the_next_answer() -> None:
    async with serving(answering(WHOLE + WHOLE.replace(b"hello", b"HELLO"))) as server, client_of(server.url) as client:
        for _ in range(3):
            try:
                assert (await fetch(client))[1] == b"hello world"
            except UpstreamError:
                continue


async def test_leaving_closes_the_connection_at_once_before_and_within_the_answer() -> None:
    gone = asyncio.Event()

    def holding(*pieces: bytes) -> Serve:
        async def serve(_: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"".join(pieces))
            await writer.drain()
            try:
                await reader.read(1)
            finally:
                gone.set()

        return serve

    for pieces in ((), (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhello",)):
        gone.clear()
        async with serving(holding(*pieces)) as server, client_of(server.url) as client:
            call = asyncio.create_task(fetch(client))
            await eventually(lambda: server.requests)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.wait_for(gone.wait(), 10)


async def test_reader_that_does_not_read_holds_the_upstream_back() -> None:
    written = 0

    async def flood(_request: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(400):
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await writer.drain()
            written += 65536
        writer.write(b"0\r\n\r\n")

    async with (
        asyncio.timeout(20),
        serving(flood) as server,
        client_of(server.url) as client,
        client.request(b"POST", b"/", []) as answer,
    ):
        await eventually(lambda: written > PAUSE_BYTES)
        before = -1
        while written != before:  # until nothing more is taken
            before = written
            await asyncio.sleep(0.05)
        assert before < 400 * 65536
        assert len(await answer.read_all(10**9)) == 400 * 65536


async def test_no_connection_is_told_apart_from_a_broken_one() -> None:
    async with client_of(f"http://127.0.0.1:{free_port()}") as client:
        with pytest.raises(UpstreamUnreachableError):
            await fetch(client)
    async with client_of("http://name.invalid") as client:
        with pytest.raises(UpstreamUnreachableError):
            await fetch(client)


async def test_server_without_tls_is_no_connection_for_an_https_url() -> None:
    async with serving(answering(WHOLE)) as server, client_of(server.url.replace("http:", "https:")) as client:
        with pytest.raises(UpstreamUnreachableError):
            await fetch(client)


def test_only_http_urls_are_taken() -> None:
    for url in ("ftp://x", "x", "http://"):
        with pytest.raises(ValueError, match="http"):
            client_of(url)
