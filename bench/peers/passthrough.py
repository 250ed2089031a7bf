"""`python -m bench.peers.passthrough --port N --upstream URL`: the gateway's server and client with nothing between."""

import argparse
from typing import Any, Final

import uvloop
from chassis.server import serve
from chassis.service import stop_signal
from gateway.domain.headers import Headers
from gateway.upstream.client import UpstreamClient
from starlette.types import Receive, Scope, Send

_CONNECTION_HEADERS: Final = {b"connection", b"content-length", b"transfer-encoding", b"host", b"keep-alive"}


class PassThrough:
    """Forwards every request as it is and relays the answer as it comes."""

    def __init__(self, client: UpstreamClient) -> None:
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _read_body(receive)
        headers = _end_to_end(scope["headers"])
        async with self._client.request(scope["method"].encode(), scope["raw_path"], headers, body) as answer:
            streams = not any(name == b"content-length" for name, _ in answer.headers)
            if streams:
                await send(_start(answer.status, _end_to_end(answer.headers)))
                while data := await answer.read():
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                await send({"type": "http.response.body"})
                return
            whole = await answer.read_all(64 * 1024 * 1024)
            length = (b"content-length", str(len(whole)).encode())
            await send(_start(answer.status, [*_end_to_end(answer.headers), length]))
            await send({"type": "http.response.body", "body": whole})


async def _read_body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    return body


def _end_to_end(headers: Headers) -> Headers:
    return [(name, value) for name, value in headers if name not in _CONNECTION_HEADERS]


def _start(status: int, headers: Headers) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


async def _run(port: int, upstream_url: str) -> None:
    stop = stop_signal()
    client = UpstreamClient(upstream_url, connect_seconds=5, idle_seconds=60)
    async with client, serve(PassThrough(client), "127.0.0.1", port):
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    arguments = parser.parse_args()
    uvloop.run(_run(arguments.port, arguments.upstream))


if __name__ == "__main__":
    main()
