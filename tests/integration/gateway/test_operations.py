"""What an operator sees of a gateway: readiness, metrics, logs."""

import json
from pathlib import Path

from tests.integration.gateway.gateway_process import GatewayProcess, running_gateway
from tests.integration.gateway.raw_http import ask, chat
from tests.integration.gateway.scripted_ledger import ScriptedLedger
from tests.integration.gateway.scripted_upstream import (
    ScriptedUpstream,
)
from tests.support.eventually import eventually


async def test_ready_when_a_reservation_would_be_answered(gateway: GatewayProcess, ledger: ScriptedLedger) -> None:
    assert (await ask(gateway.port, path="/health/live", method="GET")).status == 200
    assert (await ask(gateway.port, path="/health/ready", method="GET")).status == 200
    ledger.ready = False
    try:

        async def told() -> bool:
            reply = await ask(gateway.port, path="/health/ready", method="GET")
            return reply.status == 503 and reply.json["failing"] == {"ledger": "postgres"}

        await eventually(told)  # an answer may be a second old
    finally:
        ledger.ready = True
        await gateway.wait_until_ready()


async def test_metrics_and_logs_tell_what_happened_and_no_secret(
    gateway: GatewayProcess, ledger: ScriptedLedger, upstream: ScriptedUpstream
) -> None:
    reply = await ask(gateway.port, chat("a very private prompt"), {"x-user-email": "private@example.com"})
    await ledger.record_of(reply.headers["x-solaris-request-id"])
    await ask(gateway.port, chat("a very private prompt", n=0))
    metrics = (await ask(gateway.port, path="/metrics", method="GET")).body.decode()
    assert 'solaris_gateway_calls_total{outcome="completed",usage_source="provider"}' in metrics
    assert 'solaris_gateway_refused_total{code="invalid_request"}' in metrics
    assert "solaris_gateway_journal_backlog_bytes 0.0" in metrics
    for line in gateway.log.splitlines():
        assert json.loads(line)["event"]
    for secret in ("a very private prompt", "private@example.com", "sk-solaris-dev", "sk-upstream-secret"):
        assert secret not in gateway.log
        assert secret not in metrics
        assert secret not in "".join(path.read_text() for path in gateway.journal.glob("*.jsonl"))


async def test_metrics_are_for_those_who_bear_the_token_where_one_is_set(
    upstream: ScriptedUpstream, ledger: ScriptedLedger, nats_url: str, tmp_path: Path
) -> None:
    token = "a-token-for-the-metrics"
    async with running_gateway(tmp_path / "data", nats_url, upstream.url, metrics_token=token) as gateway:
        assert (await ask(gateway.port, path="/metrics", method="GET")).status == 401
        scraped = await ask(gateway.port, headers={"authorization": f"Bearer {token}"}, path="/metrics", method="GET")
        assert scraped.status == 200
        assert (await ask(gateway.port, path="/health/ready", method="GET")).status == 200
