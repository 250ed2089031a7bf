"""Log lines for people: one line each, whatever the services write."""

import json
from datetime import UTC, datetime

import pytest
from local_run.supervision.log_lines import is_routine, render

NOW = datetime(2026, 11, 20, 12, 0, 0, 123_000, tzinfo=UTC)


def test_an_event_shows_time_service_level_name_and_fields() -> None:
    line = json.dumps(
        {
            "event": "usage_settled",
            "level": "info",
            "timestamp": "2026-11-20T11:59:58.5Z",
            "service": "ledger",
            "tokens": 3,
        }
    )
    assert render("ledger", line, NOW) == "11:59:58.500 ledger    info    usage_settled tokens=3"


def test_a_line_that_is_no_event_stays_as_it_is() -> None:
    assert render("postgres", "FATAL:  no space left", NOW) == "12:00:00.123 postgres  FATAL:  no space left"


@pytest.mark.parametrize(
    "line", ['{"event": 1}', '{"event": null, "timestamp": 7}', "[1]", "null", '{"level": []}', "{"]
)
def test_odd_json_is_shown_in_one_line(line: str) -> None:
    assert "\n" not in render("ledger", line, NOW)


def test_control_characters_cannot_steer_the_terminal() -> None:
    line = json.dumps({"event": "x", "account": "a\x1b[2Jb\r\nc"})
    shown = render("gateway", line, NOW)
    assert "\x1b" not in shown
    assert "\n" not in shown
    assert "\r" not in shown


def test_long_fields_and_lines_are_shortened() -> None:
    assert len(render("gateway", json.dumps({"event": "x", "body": "y" * 10_000}), NOW)) < 300
    assert len(render("gateway", "z" * 10_000, NOW)) < 1_100


def test_an_exception_is_told_by_its_kinds() -> None:
    line = json.dumps({"event": "failed", "exception": [{"exc_type": "ValueError", "exc_value": "bad", "frames": [1]}]})
    assert render("ledger", line, NOW).endswith("failed exception=ValueError: bad")


def test_colour_is_there_only_when_wanted() -> None:
    assert "\x1b[" in render("ledger", "text", NOW, colour=True)
    assert "\x1b[" not in render("ledger", "text", NOW)


@pytest.mark.parametrize(
    ("service", "line", "routine"),
    [
        ("nats", "[12] [INF] Server is ready", True),
        ("nats", "[12] [ERR] disk", False),
        ("nats", "[12] [WRN] Plaintext passwords detected, use nkeys or bcrypt", True),
        ("nats", "[12] [WRN] Permissions Violation", False),
        ("postgres", "LOG:  checkpoint", True),
        ("postgres", "FATAL:  the database system is not yet accepting connections", True),
        ("postgres", "DETAIL:  Consistent recovery state has not been yet reached.", True),
        ("postgres", "FATAL:  out of memory", False),
        ("gateway", "LOG:  text", False),
    ],
)
def test_everyday_talk_of_the_servers_is_left_to_the_log_files(service: str, line: str, routine: bool) -> None:
    assert is_routine(service, line) is routine
