"""Lines of the request log for a server that takes smaller messages than the gateway makes."""

from chassis.core_nats.client import CoreNats
from chassis.jetstream import ask_api, stream_info
from contracts.subjects import REQUESTS_ENDED, REQUESTS_STREAM
from gateway.messaging.request_log import RequestLog
from msgspec.structs import replace
from prometheus_client import REGISTRY

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
