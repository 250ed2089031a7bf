"""Asks a local HTTP server one question, with a bound in time and size."""

import asyncio
from typing import Final, NamedTuple

from chassis.health import INSTANCE_HEADER

from local_run.ports import LOOPBACK

TIMEOUT_SECONDS: Final = 3.0
_MAX_ANSWER_BYTES: Final = 64 * 1024


class Answer(NamedTuple):
    """Status 0 with a reason as the body where nothing answers; `instance` is what the answerer calls itself."""

    status: int
    body: str
    instance: str = ""


async def fetch(port: int, path: str, host: str = LOOPBACK) -> Answer:
    """What `GET path` is answered."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                answer = await reader.read(_MAX_ANSWER_BYTES)
                while chunk := await reader.read(_MAX_ANSWER_BYTES):
                    answer = (answer + chunk)[:_MAX_ANSWER_BYTES]
            finally:
                writer.close()
    except TimeoutError:
        return Answer(0, "no answer")
    except OSError as error:
        refused = isinstance(error, ConnectionRefusedError)
        return Answer(0, "not listening yet" if refused else error.strerror or "no connection")
    head, _, body = answer.decode(errors="replace").partition("\r\n\r\n")
    words = head.split(" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        return Answer(0, "no HTTP answer")
    headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    return Answer(int(words[1]), body.strip(), headers.get(INSTANCE_HEADER, ""))
