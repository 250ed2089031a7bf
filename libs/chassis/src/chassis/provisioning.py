"""Makes streams and consumers from data, and never weakens what exists."""

import contextlib
from collections.abc import Sequence
from typing import Any, Final

import structlog
from msgspec import Struct, json
from nats.errors import Error as NatsError

from chassis.core_nats.client import CoreNats
from chassis.jetstream import Json, NotFoundError, ask_api, consumer_info, stream_info

log = structlog.get_logger()

_TIMES: Final = ("max_age", "duplicate_window")


async def provision(
    client: CoreNats, streams: Sequence[Struct], consumers: Sequence[Struct], *, replicas: int = 1
) -> list[str]:
    """Create what is missing and leave what exists as it is; returns the names created.

    Streams and consumers have JetStream's own fields; a consumer also its `stream`.
    A stream's drifted settings are told, never overwritten: an operator changed them on purpose or must know. What
    an older release made is brought up to what is relied on: a stream that drops what must be refused refuses it, a
    consumer is given the subjects that it lacks beside its own, and the times and bounds of its deliveries.
    """
    created = []
    for wanted in _wanted(streams, replicas):
        if await _make_stream(client, wanted):
            created.append(wanted["name"])
    for wanted in map(_as_json, consumers):
        stream = wanted.pop("stream")
        if await _make_consumer(client, stream, wanted):
            created.append(f"{stream}/{wanted['durable_name']}")
    if created:
        log.info("jetstream_provisioned", created=created)
    return created


async def find_drift(client: CoreNats, streams: Sequence[Struct], *, replicas: int = 1) -> str | None:
    """Settings of existing streams that are not what `provision` would make, in words."""
    found: list[str] = []
    for wanted in _wanted(streams, replicas):
        with contextlib.suppress(NotFoundError):
            found += _drift(wanted, (await stream_info(client, wanted["name"]))["config"])
    return "; ".join(found) or None


async def _make_stream(client: CoreNats, wanted: Json) -> bool:
    """Whether there was none."""
    try:
        actual = (await stream_info(client, wanted["name"]))["config"]
    except NotFoundError:
        await ask_api(client, f"STREAM.CREATE.{wanted['name']}", wanted)
        return True
    if wanted["discard"] == "new" != actual["discard"]:
        actual = await _refuse_when_full(client, actual)
    if drift := _drift(wanted, actual):
        log.warning("stream_drifted", drift=drift)
    return False


async def _refuse_when_full(client: CoreNats, actual: Json) -> Json:
    """The stream's settings afterwards."""
    refusing = {**actual, "discard": "new"}
    try:
        await ask_api(client, f"STREAM.UPDATE.{actual['name']}", refusing)
    except NatsError as error:
        # Without the right to it, the stream serves as it did: nobody's usage waits for an operator.
        log.warning("stream_not_updated", stream=actual["name"], error=repr(error))
        return actual
    log.info("stream_refuses_when_full", stream=actual["name"])
    return refusing


async def _make_consumer(client: CoreNats, stream: str, wanted: Json) -> bool:
    """Whether there was none."""
    durable = wanted["durable_name"]
    try:
        actual = (await consumer_info(client, stream, durable))["config"]
    except NotFoundError:
        await _put_consumer(client, stream, wanted)
        return True
    updated = {**actual, "ack_wait": wanted["ack_wait"], "max_ack_pending": wanted["max_ack_pending"]}
    present = actual.get("filter_subjects") or [actual.get("filter_subject", "")]
    # Without any filter it reads all there is.
    missing = [subject for subject in wanted["filter_subjects"] if subject not in present] if any(present) else []
    if missing:
        updated |= {"filter_subject": "", "filter_subjects": [*present, *missing]}
    if updated != actual:
        await _put_consumer(client, stream, updated)
        log.info("consumer_updated", consumer=durable, subjects=missing)
    return False


async def _put_consumer(client: CoreNats, stream: str, config: Json) -> None:
    subject = f"CONSUMER.DURABLE.CREATE.{stream}.{config['durable_name']}"
    await ask_api(client, subject, {"stream_name": stream, "config": config})


def _wanted(streams: Sequence[Struct], replicas: int) -> list[Json]:
    return [{**_as_json(stream), "num_replicas": replicas} for stream in streams]


def _as_json(spec: Struct) -> Json:
    settings: Json = json.decode(json.encode(spec))
    return settings


def _drift(wanted: Json, actual: Json) -> list[str]:
    return [
        f"{wanted['name']}: {name} is {_plain(name, actual.get(name))}, should be {_plain(name, setting)}"
        for name, setting in wanted.items()
        if actual.get(name) != setting
    ]


def _plain(name: str, setting: Any) -> object:  # Any: of each setting's own type
    return f"{(setting or 0) / 10**9:g} s" if name in _TIMES else setting
