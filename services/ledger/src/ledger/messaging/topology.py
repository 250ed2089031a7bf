"""The ledger owns the JetStream topology: it creates what is missing, at its start and whenever it meets a gap."""

from chassis.jetstream import find_stream_drift, provision
from contracts.topology import CONSUMERS, STREAMS
from nats.js import JetStreamContext


async def ensure_topology(jetstream: JetStreamContext, replicas: int) -> list[str]:
    """Create missing streams and durable consumers; returns the names created."""
    return await provision(jetstream, STREAMS, CONSUMERS, replicas=replicas)


async def find_drift(jetstream: JetStreamContext, replicas: int) -> list[str]:
    """Settings of the streams that are not what they should be, in words; a stream that is missing has none."""
    return await find_stream_drift(jetstream, STREAMS, replicas=replicas)
