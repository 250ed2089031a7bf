"""The ledger owns the JetStream topology: it creates what is missing, at its start and whenever it meets a gap."""

from chassis.core_nats.client import CoreNats
from chassis.provisioning import find_stream_drift, provision
from contracts.topology import CONSUMERS, STREAMS


async def ensure_topology(client: CoreNats, replicas: int) -> list[str]:
    """Create missing streams and durable consumers; returns the names created."""
    return await provision(client, STREAMS, CONSUMERS, replicas=replicas)


async def find_drift(client: CoreNats, replicas: int) -> list[str]:
    """Settings of the streams that are not what they should be, in words; a stream that is missing has none."""
    return await find_stream_drift(client, STREAMS, replicas=replicas)
