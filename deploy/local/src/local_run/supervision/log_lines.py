"""Turns a service's log line into one that a person reads."""

import json
from datetime import datetime
from typing import Any, Final

from local_run.services import PARTS

_WIDTH: Final = max(len(name) for name in ("local_run", *(part.name for part in PARTS)))
_MAX_FIELD_LENGTH: Final = 200
_MAX_LINE_LENGTH: Final = 1_000
_RESET: Final = "\x1b[0m"
_SERVICE_COLOURS: Final = tuple(f"\x1b[{colour}m" for colour in (36, 35, 34, 32, 33, 96, 95, 94))
_LEVEL_COLOURS: Final = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_SHOWN_ELSEWHERE: Final = ("event", "level", "timestamp", "service")
_ROUTINE: Final = {part.name: part.routine for part in PARTS}


def is_routine(service: str, line: str) -> bool:
    """Whether a line is the servers' everyday talk, which the log file keeps and the terminal need not show."""
    pattern = _ROUTINE.get(service)
    return pattern is not None and pattern.match(line) is not None


def render(service: str, line: str, now: datetime, *, colour: bool = False) -> str:
    """`12:34:56.789 gateway   info    event field=value`; a line that is no JSON object stays as it is."""
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if isinstance(entry, dict) and "event" in entry:
        level = str(entry.get("level", "info"))
        text = f"{level:<7} {_one_line(entry['event'])}{_fields(entry)}"
        time = _local_time(entry.get("timestamp"), now)
    else:
        level, text, time = "info", line.rstrip(), now
    text = _shortened(_printable(text), _MAX_LINE_LENGTH)
    prefix = f"{time:%H:%M:%S}.{time.microsecond // 1000:03d} {service:<{_WIDTH}}"
    if not colour:
        return f"{prefix} {text}"
    tint = _SERVICE_COLOURS[sum(service.encode()) % len(_SERVICE_COLOURS)]
    tone = _LEVEL_COLOURS.get(level)
    return f"{tint}{prefix}{_RESET} {tone}{text}{_RESET}" if tone else f"{tint}{prefix}{_RESET} {text}"


def _fields(entry: dict[str, Any]) -> str:
    shown = ((name, value) for name, value in entry.items() if name not in _SHOWN_ELSEWHERE)
    return "".join(f" {name}={_shortened(_value(name, value), _MAX_FIELD_LENGTH)}" for name, value in shown)


def _value(name: str, value: Any) -> str:
    if name == "exception" and isinstance(value, list):
        return " < ".join(
            f"{item.get('exc_type')}: {item.get('exc_value')}" for item in value if isinstance(item, dict)
        )
    if isinstance(value, str):
        return _one_line(value) if value and " " not in value else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def _local_time(stamp: Any, now: datetime) -> datetime:
    try:
        return datetime.fromisoformat(stamp).astimezone(now.tzinfo)
    except (TypeError, ValueError):
        return now


def _one_line(value: object) -> str:
    return str(value).replace("\n", "⏎")


def _printable(text: str) -> str:
    """Without control characters: a log line must not steer the terminal that shows it."""
    return "".join(char if char.isprintable() or char == " " else "�" for char in text)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
