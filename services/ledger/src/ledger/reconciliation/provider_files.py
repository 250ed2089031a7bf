"""Reads usage exports of providers: CSV as the consoles of OpenAI and Anthropic write it, JSON as their APIs answer.

Sources: OpenAI's API reference, organization usage of completions and embeddings; Anthropic's Usage and Cost API; the
columns of both consoles' CSV files as published files have them. Columns may come in any order, with others beside.
"""

import csv
import json as lenient_json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, NamedTuple

from ledger.store.reconciliation.rows import Tokens

MAX_CSV_BYTES: Final = 512 * 1024 * 1024
MAX_JSON_BYTES: Final = 128 * 1024 * 1024
MAX_LINES: Final = 200_000
"""Of days and models, which is what is kept of a file."""
_DAY_SECONDS: Final = 86_400
_NUMBER: Final = re.compile(r"([0-9]{1,18})(?:\.0+)?")
_SNAPSHOT: Final = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8})$")
_OPENAI_TIMES: Final = ("start_time_iso", "start_time")


class ExportError(Exception):
    """The file is not what it should be; the text is one line that says what, and where."""


class Provided(NamedTuple):
    """A model's calls of a UTC day; `calls` 0 where a provider does not count them."""

    calls: int = 0
    tokens: Tokens = Tokens()
    cost_usd_micros: int = 0

    def plus(self, other: "Provided") -> "Provided":
        mine, others = self.tokens, other.tokens
        tokens = Tokens(
            mine.prompt + others.prompt,
            mine.completion + others.completion,
            *[_sum(a, b) for a, b in zip(mine[2:], others[2:], strict=True)],
        )
        return Provided(self.calls + other.calls, tokens, self.cost_usd_micros + other.cost_usd_micros)


type Export = dict[tuple[date, str], Provided]


def read_export(path: Path) -> Export:
    """A file's sums by UTC day and model (`plain_model`).

    Raises:
        ExportError: it can't be read, or says something that can't be meant.
    """
    try:
        with path.open("rb") as file:
            begins = file.read(4_096)
        size = path.stat().st_size
    except OSError as error:
        raise ExportError(f"{path}: {error.strerror}") from None
    if begins.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in begins:
        raise ExportError("not UTF-8: take the file as the provider gave it, not as a spreadsheet saved it")
    is_json = begins.removeprefix(b"\xef\xbb\xbf").lstrip().startswith((b"{", b"["))
    if size > (MAX_JSON_BYTES if is_json else MAX_CSV_BYTES):
        raise ExportError("too large: export fewer days at a time")
    lines = _json_lines(path) if is_json else _csv_lines(path)
    found: Export = {}
    try:
        for where, day, model, provided in lines:
            if not model:
                raise ExportError(f"{where}: no model; have the export grouped by model")
            key = (day, plain_model(model))
            found[key] = found.get(key, Provided()).plus(provided)
            if len(found) > MAX_LINES:
                raise ExportError(f"{where}: more than {MAX_LINES} days and models")
    except UnicodeDecodeError:
        raise ExportError("not UTF-8: take the file as the provider gave it") from None
    return found


def plain_model(model: str) -> str:
    """`openai/gpt-4o-2024-08-06` → `gpt-4o`: providers tell a model's snapshot, calls often its name."""
    name = model.rpartition("/")[2].lower()
    return _SNAPSHOT.sub("", name)


type _Line = tuple[str, date, str, Provided]
type _Reader = Callable[[str, Mapping[str, str]], _Line]


def _csv_lines(path: Path) -> Iterator[_Line]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            rows = csv.DictReader(file, strict=True)
            columns = {name.strip().lower() for name in rows.fieldnames or () if name}
            reading = _csv_reader(columns)
            for number, row in enumerate(rows, start=2):
                cells = {(name or "").strip().lower(): value for name, value in row.items() if isinstance(value, str)}
                yield reading(f"line {number}", cells)
        except csv.Error as error:
            raise ExportError(f"not CSV: {error}") from None


def _csv_reader(columns: set[str]) -> _Reader:
    if len(columns) == 1 and ";" in next(iter(columns)):
        raise ExportError("separated by semicolons, as a spreadsheet saves it: take the file as the provider gave it")
    if {"usage_date_utc", "model_version", "usage_output_tokens"} <= columns:
        return _anthropic_row
    if "input_tokens" in columns and "output_tokens" in columns and not columns.isdisjoint(_OPENAI_TIMES):
        return _openai_row
    raise ExportError("no columns of a usage export of OpenAI (input_tokens, …) or Anthropic (usage_date_utc, …)")


def _openai_row(where: str, cells: Mapping[str, str]) -> _Line:
    told = next((cells[name] for name in _OPENAI_TIMES if cells.get(name)), "")
    provided = Provided(
        _number(where, cells, "num_model_requests"),
        Tokens(
            prompt=_number(where, cells, "input_tokens"),
            completion=_number(where, cells, "output_tokens"),
            cached_prompt=_number(where, cells, "input_cached_tokens") if "input_cached_tokens" in cells else None,
        ),
    )
    began, ended = cells.get("start_time", ""), cells.get("end_time", "")
    if began.isdigit() and ended.isdigit() and int(ended) - int(began) > _DAY_SECONDS:
        raise ExportError(f"{where}: more than a day; export it by day")
    return where, _day(where, told), cells.get("model", ""), provided


def _anthropic_row(where: str, cells: Mapping[str, str]) -> _Line:
    read = _number(where, cells, "usage_input_tokens_cache_read")
    written = sum(_number(where, cells, f"usage_input_tokens_cache_write{of}") for of in ("", "_5m", "_1h"))
    prompt = _number(where, cells, "usage_input_tokens_no_cache") + read + written
    tokens = Tokens(prompt, _number(where, cells, "usage_output_tokens"), read, written)
    return where, _day(where, cells.get("usage_date_utc", "")), cells.get("model_version", ""), Provided(0, tokens)


def _json_lines(path: Path) -> Iterator[_Line]:
    try:
        decoded = lenient_json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise ExportError(f"not JSON: {error}") from None
    for bucket in _buckets(decoded):
        told = bucket.get("start_time", bucket.get("starting_at"))
        ends = bucket.get("end_time")
        if isinstance(told, int) and isinstance(ends, int) and ends - told > _DAY_SECONDS:
            raise ExportError(f"the bucket of {told}: more than a day; ask for bucket_width=1d")
        results = bucket.get("results")
        for result in results if isinstance(results, list) else ():
            where = f"the bucket of {told}"
            if not isinstance(result, dict):
                raise ExportError(f"{where}: a result that is no object")
            day = _day(where, str(told))
            model = result.get("model")
            yield where, day, model if isinstance(model, str) else "", _json_result(where, result)


def _buckets(decoded: object) -> Iterator[Mapping[str, object]]:
    """Of one answer, or a list of answers, the last of which has no more, or of buckets."""
    listed = decoded if isinstance(decoded, list) else [decoded]
    for each in listed:
        if not isinstance(each, dict):
            raise ExportError("no usage answer of OpenAI or Anthropic")
        if "results" in each:
            yield each
        elif isinstance(each.get("data"), list):
            if each is listed[-1] and each.get("has_more") is True:
                raise ExportError("not all of it: has_more is true; fetch the pages that follow, as a list of answers")
            yield from _buckets(each["data"]) if each["data"] else ()
        else:
            raise ExportError("no usage answer of OpenAI or Anthropic: neither data nor results")


def _json_result(where: str, result: Mapping[str, object]) -> Provided:
    cells = {name: str(value) for name, value in result.items() if isinstance(value, int | float | str)}
    if "uncached_input_tokens" in result:
        creation = result.get("cache_creation")
        parts = creation if isinstance(creation, dict) else {}
        written = sum(_number(where, {"": str(value)}, "") for value in parts.values())
        read = _number(where, cells, "cache_read_input_tokens")
        prompt = _number(where, cells, "uncached_input_tokens") + read + written
        return Provided(0, Tokens(prompt, _number(where, cells, "output_tokens"), read, written))
    if "input_tokens" not in result:
        raise ExportError(f"{where}: neither input_tokens nor uncached_input_tokens")
    cached = _number(where, cells, "input_cached_tokens") if "input_cached_tokens" in cells else None
    tokens = Tokens(_number(where, cells, "input_tokens"), _number(where, cells, "output_tokens"), cached)
    return Provided(_number(where, cells, "num_model_requests"), tokens)


def _number(where: str, cells: Mapping[str, str], name: str) -> int:
    """A whole number; nothing is none."""
    text = cells.get(name, "").strip()
    if not text:
        return 0
    if (found := _NUMBER.fullmatch(text)) is None:
        hint = "; a decimal comma or thousands of a spreadsheet" if "," in text or "." in text else ""
        raise ExportError(f"{where}: {name or 'cache_creation'} is {text[:40]!r}, which is no number of tokens{hint}")
    return int(found[1])


def _day(where: str, told: str) -> date:
    try:
        if told.isdigit():
            return datetime.fromtimestamp(int(told), UTC).date()
        moment = datetime.fromisoformat(told)
    except (ValueError, OverflowError, OSError):
        raise ExportError(f"{where}: {told[:40]!r} is no day; take the file as the provider gave it") from None
    return (moment if moment.tzinfo is None else moment.astimezone(UTC)).date()


def _sum(first: int | None, second: int | None) -> int | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second
