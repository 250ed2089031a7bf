"""One gateway in its usual settings for each module, beside a scripted ledger and a scripted upstream."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.gateway.gateway_process import GatewayProcess, running_gateway
from tests.integration.gateway.scripted_ledger import ScriptedLedger, running_ledger
from tests.integration.gateway.scripted_upstream import ScriptedUpstream, running_upstream


@pytest_asyncio.fixture(scope="module")
async def module_upstream() -> AsyncIterator[ScriptedUpstream]:
    async with running_upstream() as upstream:
        yield upstream


@pytest_asyncio.fixture(scope="module")
async def module_ledger(nats_url: str) -> AsyncIterator[ScriptedLedger]:
    async with running_ledger(nats_url) as ledger:
        yield ledger


@pytest_asyncio.fixture(scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory,
    nats_url: str,
    module_ledger: ScriptedLedger,
    module_upstream: ScriptedUpstream,
) -> AsyncIterator[GatewayProcess]:
    data_dir = tmp_path_factory.mktemp("gateway")
    async with running_gateway(data_dir, nats_url, module_upstream.url, silence_seconds="0.3") as process:
        yield process


@pytest.fixture
def upstream(module_upstream: ScriptedUpstream) -> ScriptedUpstream:
    module_upstream.reset()
    return module_upstream


@pytest.fixture
def ledger(module_ledger: ScriptedLedger) -> ScriptedLedger:
    module_ledger.reset()
    return module_ledger
