"""The notifier's verbs as operators run them, and how it tells its readiness."""

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

from tests.support.ledger_operate import operate_on

CONSUMERS = {"consumer", "billing_consumer"}


async def operate(database_url: str, verb: str, **options: str) -> tuple[int, list[Any]]:  # Any: what the verb prints
    """How a verb ends, and the lines that it prints."""
    ran = await operate_on(database_url, "notifier")(verb, **options)
    return ran.code, ran.lines


def read(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def failing_parts(port: int) -> set[str]:
    status, body = await asyncio.to_thread(read, port, "/health/ready")
    assert status in {200, 503}
    return set(json.loads(body).get("failing", {}))


async def fails(port: int, parts: set[str]) -> bool:
    try:
        return await failing_parts(port) == parts
    except OSError:
        return False
