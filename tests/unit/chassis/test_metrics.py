"""The histogram of the hot path says on `/metrics` what prometheus_client's own would say."""

from chassis.metrics import LoopHistogram
from prometheus_client import CollectorRegistry, Histogram, generate_latest

VALUES = (0.0, 0.001, 0.0011, 0.5, 0.5000001, 3, 3.1, 1e9)
BUCKETS = (0.001, 0.5, 3)


def shown(registry: CollectorRegistry) -> list[str]:
    """What is scraped, but for the moment of creation."""
    lines = generate_latest(registry).decode().splitlines()
    return [line.rpartition(" ")[0] if line.startswith("call_seconds_created ") else line for line in lines]


def test_it_shows_what_prometheus_clients_histogram_shows() -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    histogram = Histogram("call_seconds", "From a call's arrival to its end", buckets=BUCKETS, registry=theirs)
    loop_histogram = LoopHistogram("call_seconds", "From a call's arrival to its end", buckets=BUCKETS, registry=ours)

    assert shown(ours) == shown(theirs)

    for value in VALUES:
        histogram.observe(value)
        loop_histogram.observe(value)

    assert shown(ours) == shown(theirs)
    assert 'call_seconds_bucket{le="0.5"} 4.0' in shown(ours)
