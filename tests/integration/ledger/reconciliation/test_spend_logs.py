"""LiteLLM's own log is read page by page, goes on where it was cut, and a day that was over is not read again."""

import contextlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from tests.integration.ledger.reconciliation.conftest import Calls
from tests.support.ledger_operate import Operate
from tests.support.litellm_payloads import payload

KEY: Final = "sk-reads-its-log"
ROWS: Final = 1_200


class SpendLogServer(ThreadingHTTPServer):
    """Answers as LiteLLM does for a day's rows, which are there for one key."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rows = rows
        self.asked: list[tuple[str, int]] = []
        self.fails: dict[int, int] = {}


class _Handler(BaseHTTPRequestHandler):
    server: SpendLogServer

    def do_GET(self) -> None:
        asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        page, size = int(asked["page"]), int(asked["page_size"])
        self.server.asked.append((asked["start_date"][:10], page))
        status = self.server.fails.get(page, 200) if self.headers["authorization"] == f"Bearer {KEY}" else 401
        wanted = [row for row in self.server.rows if row["startTime"][:10] == asked["start_date"][:10]]
        answer = {
            "data": wanted[(page - 1) * size : page * size],
            "total": len(wanted),
            "page": page,
            "page_size": size,
            "total_pages": -(-len(wanted) // size),
        }
        body = json.dumps(answer if status == 200 else {"error": "no"}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def row(number: int, started_at: datetime) -> dict[str, Any]:
    return {
        "request_id": f"chatcmpl-{number}",
        "litellm_call_id": f"logged-{number:05}",
        "startTime": (started_at + timedelta(seconds=number)).isoformat().replace("+00:00", "Z"),
        "endTime": (started_at + timedelta(seconds=number + 1)).isoformat().replace("+00:00", "Z"),
        "model": "openai/gpt-4o",
        "model_group": "gpt-4o",
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "spend": 0.0,
        "end_user": "ana",
        "cache_hit": "None",
        "status": "success",
        "metadata": {},
    }


@pytest.fixture
def log_server() -> Iterator[SpendLogServer]:
    noon = datetime.now(UTC).replace(hour=12, minute=0) - timedelta(days=2)
    server = SpendLogServer([row(number, noon) for number in range(ROWS)])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with contextlib.closing(server.socket):
        yield server
        server.shutdown()
        thread.join()


async def test_its_log_is_read_on_from_where_it_was_cut(
    calls: Calls, operate: Operate, log_server: SpendLogServer
) -> None:
    calls.began_at = datetime.now(UTC).replace(hour=12, minute=0) - timedelta(days=2)
    await calls.settled("logged-00007")
    day = calls.began_at.date().isoformat()
    told = {"SOLARIS_LITELLM_URL": f"http://127.0.0.1:{log_server.server_port}", "SOLARIS_LITELLM_KEY": KEY}

    wrong_key = await operate("reconcile", told | {"SOLARIS_LITELLM_KEY": "x"}, from_=day, to=day, source="spend-logs")
    wrong_key.assert_refused(1)
    log_server.asked.clear()
    log_server.fails = {2: 404}
    (await operate("reconcile", told, from_=day, to=day, source="spend-logs")).assert_refused(1)
    log_server.fails = {}
    ran = await operate("reconcile", told, from_=day, to=day, source="spend-logs")
    assert ran.code == 1, ran
    run = ran.lines[-1]
    assert (run["record"], run["source"], run["matched"], run["missing_here"]) == ("run", "spend-logs", 1, ROWS - 1)
    assert [page for _, page in log_server.asked] == [1, 2, 2, 3]
    again = await operate("reconcile", told, from_=day, to=day, source="spend-logs")
    assert again.lines[-1]["missing_here"] == ROWS - 1
    assert len(log_server.asked) == 4
    assert {asked for asked, _ in log_server.asked} == {day}


async def test_after_a_standstill_the_days_that_were_missed_are_read_before_they_are_reconciled(
    calls: Calls, operate: Operate, log_server: SpendLogServer, connection: asyncpg.Connection
) -> None:
    before, missed = (datetime.now(UTC).replace(hour=12, minute=0) - timedelta(days=ago) for ago in (5, 4))
    log_server.rows += [row(ROWS, before), row(ROWS + 1, missed), row(ROWS + 2, before) | {"prompt_tokens": -1}]
    told = {"SOLARIS_LITELLM_URL": f"http://127.0.0.1:{log_server.server_port}", "SOLARIS_LITELLM_KEY": KEY}
    day = before.date().isoformat()
    ran = await operate("reconcile", told, from_=day, to=day, source="spend-logs")
    assert ran.err == "1 rows of LiteLLM's log can't be read, and are left out: prompt_tokens: no number of tokens\n"
    await calls.tell([payload("told-1", prompt=1, completion=1, started_at=missed - timedelta(days=1))])
    due = await operate("reconcile", told, due=1)
    assert {(run["source"], run["trigger"]) for run in due.json["latest"]} >= {
        ("litellm", "nightly"),
        ("spend-logs", "nightly"),
    }
    sums = await connection.fetchval(
        "SELECT sums FROM reconciliation.runs WHERE trigger = 'nightly' AND source = 'spend-logs' AND first_day = $1",
        missed.date(),
    )
    assert json.loads(sums)["their_tokens"] == 120
