"""Lines of the request log where the server takes no messages, or smaller ones than the gateway makes."""

from pathlib import Path

from chassis.core_nats.client import CoreNats
from chassis.jetstream import ask_api, stream_info
from chassis.provisioning import provision
from contracts.subjects import REQUESTS_ENDED, REQUESTS_STREAM
from contracts.topology import STREAMS
from gateway.messaging.request_log import RequestLog
from msgspec.structs import replace
from prometheus_client import REGISTRY

from tests.integration.gateway.gateway_process import running_gateway
from tests.integration.gateway.raw_http import ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger
from tests.integration.gateway.scripted_upstream import ScriptedUpstream
from tests.support.eventually import eventually
from tests.support.infrastructure import core_nats
from tests.support.request_lines import served


def lost() -> float:
    return REGISTRY.get_sample_value("solaris_gateway_request_lines_lost_total", {"reason": "too_large"}) or 0.0


async def test_messages_become_smaller_until_they_are_taken_and_what_never_fits_is_lost_alone(core: CoreNats) -> None:
    config = {"name": REQUESTS_STREAM, "subjects": [REQUESTS_ENDED], "max_msg_size": 2_000}
    await ask_api(core, f"STREAM.CREATE.{REQUESTS_STREAM}", config)
    log, before = RequestLog(core), lost()
    for number in range(20):
        log.add(served("ana", user_agent="x" * 5_000) if number == 7 else served("ana"))
    assert await log.flush(10)
    assert lost() - before == 1
    told = (await stream_info(core, REQUESTS_STREAM))["state"]["messages"]
    assert 5 < told < 19
    # What follows is told as it fits, at once.
    log.add(replace(served("ana"), model="next"))
    assert await log.flush(10)
    assert (await stream_info(core, REQUESTS_STREAM))["state"]["messages"] == told + 1


async def test_calls_are_answered_as_ever_while_no_stream_takes_lines(
    ledger: ScriptedLedger, upstream: ScriptedUpstream, nats_url: str, tmp_path: Path
) -> None:
    """As with a ledger of a release that knows of no request log, which makes no stream for it."""
    async with core_nats(nats_url) as core, running_gateway(tmp_path, nats_url, upstream.url) as gateway:
        await core.request("$JS.API.STREAM.DELETE.REQUESTS", b"", seconds=5)
        assert (await ask(gateway.port, chat(), {"x-user-id": "no-stream"})).status == 200
        assert (await ask(gateway.port, path="/health/ready", method="GET")).status == 200
        waiting = await ask(gateway.port, path="/metrics", method="GET")
        assert b"solaris_gateway_request_lines_waiting 1.0" in waiting.body
        await provision(core, STREAMS, ())

        async def is_told() -> bool:
            metrics = await ask(gateway.port, path="/metrics", method="GET")
            return b"solaris_gateway_request_lines_waiting 0.0" in metrics.body

        await eventually(is_told, 15, message="the line is told once there is a stream")
