"""The ledger owns the JetStream topology: it creates what is missing, at its start and whenever it meets a gap."""

from chassis.jetstream import provision
from contracts.topology import CONSUMERS, STREAMS
from nats.js import JetStreamContext


async def ensure_topology(jetstream: JetStreamContext, replicas: int) -> list[str]:
    """Create missing streams and durable consumers; returns the names created."""
    return await provision(jetstream, STREAMS, CONSUMERS, replicas=replicas)
