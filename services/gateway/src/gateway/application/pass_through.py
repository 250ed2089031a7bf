"""Forwards a call as it came and relays its answer as it comes: nothing is held, looked at or recorded."""

from collections.abc import Callable, Mapping

from gateway.application.answer import Answer
from gateway.application.call import ENDPOINT
from gateway.domain.headers import request_headers, response_headers
from gateway.upstream.client import UpstreamClient


async def pass_through(
    upstream: UpstreamClient,
    call_id: str,
    headers: Mapping[bytes, bytes],
    body: bytes,
    answer: Answer,
    *,
    on_sent: Callable[[], None],
) -> None:
    """Relay the upstream's answer; `on_sent` is called when its status has come.

    Raises:
        UpstreamError: there was none, or it broke off after `answer` was started.
    """
    request = upstream.request(b"POST", ENDPOINT.encode(), request_headers(headers), body)
    del body
    request.on_answered = lambda _: on_sent()
    async with request as answered:
        await answer.start(answered.status, response_headers(answered.headers, call_id, None))
        while data := await answered.read():
            await answer.write(data)
        await answer.finish()
