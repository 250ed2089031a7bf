"""Lines of the request log while NATS is away: kept within bounds, and counted where they are lost."""

from chassis.core_nats.client import CoreNats
from contracts.codec import encode
from contracts.requests import Bodies
from gateway.messaging.request_log import MAX_WAITING_BYTES, RequestLog
from msgspec.structs import replace
from prometheus_client import REGISTRY

from tests.support.request_lines import refused, served


def lost(reason: str) -> float:
    return REGISTRY.get_sample_value("solaris_gateway_request_lines_lost_total", {"reason": reason}) or 0.0


async def test_what_has_no_room_is_lost_and_counted() -> None:
    log = RequestLog(CoreNats("nats://127.0.0.1:1", service="gateway"))
    before = lost("no_room")
    line = served("ana", bodies=Bodies(request="x" * 60_000))
    most = MAX_WAITING_BYTES // len(encode(line))
    for _ in range(most + 7):
        log.add(line)
    assert log.waiting == most
    assert lost("no_room") - before == 7
    log.add(refused("ana"))
    assert log.waiting == most + 1  # there still is room for a short one
    assert not await log.flush(0.01)
    assert log.waiting == most + 1


async def test_what_is_larger_than_a_message_is_lost_alone() -> None:
    log = RequestLog(CoreNats("nats://127.0.0.1:1", service="gateway"))
    before = lost("too_large")
    log.add(replace(served("ana"), user_agent="x" * 2**20))
    log.add(served("ana"))
    assert lost("too_large") - before == 1
    assert log.waiting == 1
