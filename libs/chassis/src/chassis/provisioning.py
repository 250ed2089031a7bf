"""Makes streams and consumers from data, and never weakens what exists."""

from collections.abc import Sequence
from typing import Final, Protocol

import structlog
from nats.errors import Error as NatsError
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError

from chassis.core_nats.client import CoreNats
from chassis.jetstream import consumer_info, create_stream, put_consumer, stream_info, update_stream

log = structlog.get_logger()

RELIED_ON: Final = (
    "subjects",
    "discard",
    "max_age",
    "max_bytes",
    "max_msg_size",
    "duplicate_window",
    "num_replicas",
    "deny_delete",
    "deny_purge",
    "allow_atomic",
)
"""Settings of a stream that something here counts on."""


class StreamSpec(Protocol):
    """What a stream must be; sizes in bytes, times in seconds."""

    @property
    def name(self) -> str: ...
    @property
    def subjects(self) -> tuple[str, ...]: ...
    @property
    def max_age_seconds(self) -> int: ...
    @property
    def max_bytes(self) -> int: ...
    @property
    def duplicate_window_seconds(self) -> int: ...
    @property
    def max_message_bytes(self) -> int: ...
    @property
    def refuse_when_full(self) -> bool: ...


class ConsumerSpec(Protocol):
    """What a durable pull consumer must be."""

    @property
    def stream(self) -> str: ...
    @property
    def durable(self) -> str: ...
    @property
    def filter_subjects(self) -> tuple[str, ...]: ...
    @property
    def ack_wait_seconds(self) -> int: ...
    @property
    def max_ack_pending(self) -> int: ...


async def provision(
    client: CoreNats, streams: Sequence[StreamSpec], consumers: Sequence[ConsumerSpec], *, replicas: int = 1
) -> list[str]:
    """Create what is missing and leave what exists as it is; returns the names created.

    A stream's drifted settings are told, never overwritten: an operator changed them on purpose or must know. What
    an older release made is brought up to what is relied on: a stream that drops what must be refused refuses it, a
    consumer is given the subjects that it lacks beside its own, and the times and bounds of its deliveries.
    """
    created: list[str] = []
    for stream in streams:
        wanted = stream_config(stream, replicas)
        try:
            info = await stream_info(client, stream.name)
        except NotFoundError:
            await create_stream(client, wanted)
            created.append(stream.name)
        else:
            for drifted in _drift(wanted, await _refuse_when_full(client, wanted, info.config)):
                log.warning("stream_drifted", stream=stream.name, drifted=drifted)
    for consumer in consumers:
        try:
            existing = await consumer_info(client, consumer.stream, consumer.durable)
        except NotFoundError:
            await put_consumer(client, consumer.stream, consumer_config(consumer))
            created.append(f"{consumer.stream}/{consumer.durable}")
        else:
            await _update_consumer(client, consumer, existing.config)
    if created:
        log.info("jetstream_provisioned", created=created)
    return created


async def find_stream_drift(client: CoreNats, streams: Sequence[StreamSpec], *, replicas: int = 1) -> list[str]:
    """Settings of existing streams that are not what `provision` would make, in words."""
    found: list[str] = []
    for stream in streams:
        try:
            info = await stream_info(client, stream.name)
        except NotFoundError:
            continue
        found += [f"{stream.name}: {drifted}" for drifted in _drift(stream_config(stream, replicas), info.config)]
    return found


async def _refuse_when_full(client: CoreNats, wanted: StreamConfig, actual: StreamConfig) -> StreamConfig:
    """The stream's settings afterwards."""
    if wanted.discard is not DiscardPolicy.NEW or actual.discard == DiscardPolicy.NEW:
        return actual
    try:
        updated = await update_stream(client, actual.evolve(discard=DiscardPolicy.NEW))
    except (NatsError, TimeoutError) as error:
        # Without the right to it, the stream serves as it did: nobody's usage waits for an operator.
        log.warning("stream_not_updated", stream=wanted.name, error=repr(error))
        return actual
    log.info("stream_refuses_when_full", stream=wanted.name)
    return updated.config


async def _update_consumer(client: CoreNats, consumer: ConsumerSpec, actual: ConsumerConfig | None) -> None:
    if actual is None:
        return
    present = actual.filter_subjects or ([actual.filter_subject] if actual.filter_subject else [])
    # Without any filter it reads all there is.
    missing = [subject for subject in consumer.filter_subjects if subject not in present] if present else []
    updated = actual.evolve(ack_wait=consumer.ack_wait_seconds, max_ack_pending=consumer.max_ack_pending)
    if missing:
        updated = updated.evolve(filter_subject=None, filter_subjects=[*present, *missing])
    if updated != actual:
        await put_consumer(client, consumer.stream, updated)
        log.info("consumer_updated", consumer=consumer.durable, subjects=missing)


def stream_config(stream: StreamSpec, replicas: int) -> StreamConfig:
    """What JetStream is told about a stream."""
    return StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW if stream.refuse_when_full else DiscardPolicy.OLD,
        storage=StorageType.FILE,
        max_age=stream.max_age_seconds,
        max_bytes=stream.max_bytes,
        max_msg_size=stream.max_message_bytes,
        duplicate_window=stream.duplicate_window_seconds,
        num_replicas=replicas,
        deny_delete=True,
        deny_purge=True,
        allow_atomic=True,
        allow_direct=True,
    )


def consumer_config(consumer: ConsumerSpec) -> ConsumerConfig:
    """What JetStream is told about a durable pull consumer, by whoever creates it."""
    return ConsumerConfig(
        durable_name=consumer.durable,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=consumer.ack_wait_seconds,
        max_deliver=-1,
        max_ack_pending=consumer.max_ack_pending,
        filter_subjects=list(consumer.filter_subjects),
    )


def _drift(wanted: StreamConfig, actual: StreamConfig) -> list[str]:
    return [
        f"{name} is {_plain(getattr(actual, name))}, should be {_plain(getattr(wanted, name))}"
        for name in RELIED_ON
        if getattr(wanted, name) != getattr(actual, name)
    ]


def _plain(setting: object) -> object:
    return setting.value if isinstance(setting, DiscardPolicy) else setting
