"""The verbs over the whole log."""

import sys

from contracts.errors import InvalidError
from msgspec import DecodeError, json

from ledger.operate import database
from ledger.operate.inputs import positions_of
from ledger.operate.output import write_line


async def verify(checkpoint: str | None) -> int:
    from ledger.audit.extent import Checkpoint  # noqa: PLC0415  each of these brings its own world
    from ledger.audit.verify import Verified, verify  # noqa: PLC0415

    try:
        kept = json.decode(checkpoint, type=Checkpoint) if checkpoint else None
    except DecodeError:
        raise InvalidError("CHECKPOINT: the checkpoint object that an earlier verify printed") from None
    url = database.database_url()
    await database.probe(url)
    result = await verify(url, kept)
    write_line(result)
    return 0 if isinstance(result, Verified) else 1


async def replay(projection_name: str | None) -> int:
    from ledger.audit.differences import Projection  # noqa: PLC0415
    from ledger.audit.replay import replay  # noqa: PLC0415

    try:
        projection = Projection(projection_name or Projection.ALL)
    except ValueError:
        raise InvalidError(f"PROJECTION: one of {', '.join(Projection)}") from None
    url = database.database_url()
    await database.probe(url)
    result = await replay(url, projection)
    write_line(result)
    return 1 if result.difference_count else 0


async def republish(first: str | None, last: str | None) -> None:
    from ledger.operate.republish import republish  # noqa: PLC0415
    from ledger.operate.service import load_settings  # noqa: PLC0415

    start, end = positions_of(first, last)
    settings, _ = load_settings()
    if not settings.nats_url:
        raise InvalidError("SOLARIS_NATS_URL is not set")
    connection = await database.connect(settings.database_url)
    try:
        done = await republish(connection, settings.nats_url, start, end, replicas=settings.jetstream_replicas)
    finally:
        connection.terminate()
    write_line(done)
    if done.left_out_before is not None:
        sys.stderr.write(f"left out what the stream has no room for: events before position {done.left_out_before}\n")
