"""Mails as `.eml` files in one folder, the last ones only."""

import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

KEPT_MESSAGES: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a list shows of one mail; `received_at` in Unix seconds, `kind` is the mail's `X-Solaris-Kind`."""

    id: str
    received_at: float
    sender: str
    to: str
    subject: str
    kind: str
    message_id: str
    size: int


class MailStore:
    """The mails below `directory`; files that others put there or remove are none of its business."""

    def __init__(self, directory: Path, kept_messages: int = KEPT_MESSAGES) -> None:
        self._directory = directory
        self._kept_messages = kept_messages
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for unfinished in directory.glob("*.unfinished"):
            unfinished.unlink(missing_ok=True)
        self._summaries: dict[str, Summary] = {}
        for path in sorted(directory.glob("*.eml")):
            self._index(path.stem, path.read_bytes())
        self._remove_old()

    def add(self, content: bytes) -> str:
        """Keep a mail, durably; returns its id. The file appears whole or not at all."""
        identifier = f"{time.time_ns():020d}"
        while identifier in self._summaries:
            identifier = f"{int(identifier) + 1:020d}"
        unfinished = self._directory / f"{identifier}.unfinished"
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path(identifier))
        self._index(identifier, content)
        self._remove_old()
        return identifier

    def newest_first(self) -> Iterator[Summary]:
        return iter([*self._summaries.values()][::-1])

    def read(self, identifier: str) -> bytes | None:
        """The mail as it came; None for an unknown one."""
        if identifier not in self._summaries:
            return None
        try:
            return self._path(identifier).read_bytes()
        except FileNotFoundError:
            return None

    def _path(self, identifier: str) -> Path:
        return self._directory / f"{identifier}.eml"

    def _index(self, identifier: str, content: bytes) -> None:
        self._summaries[identifier] = summarise(identifier, content)

    def _remove_old(self) -> None:
        while len(self._summaries) > self._kept_messages:
            oldest = next(iter(self._summaries))
            self._path(oldest).unlink(missing_ok=True)
            del self._summaries[oldest]


def parse(content: bytes) -> EmailMessage:
    return message_from_bytes(content, policy=policy.default)


def summarise(identifier: str, content: bytes) -> Summary:
    message = parse(content)
    received_at = int(identifier) / 1e9 if identifier.isdigit() else 0.0
    return Summary(
        id=identifier,
        received_at=received_at,
        sender=_header(message, "From"),
        to=_header(message, "To"),
        subject=_header(message, "Subject"),
        kind=_header(message, "X-Solaris-Kind"),
        message_id=_header(message, "Message-ID"),
        size=len(content),
    )


def describe(summary: Summary, content: bytes) -> dict[str, Any]:
    """The mail with its parts and headers, for JSON."""
    message = parse(content)
    headers = [(name, _header_text(value)) for name, value in message.items()]
    return {
        **asdict(summary),
        "date": _date(message),
        "text": body(message, "plain"),
        "html": body(message, "html"),
        "headers": headers,
    }


def body(message: EmailMessage, kind: str) -> str:
    """The text of the first part of that kind (`plain` or `html`); empty where there is none."""
    part = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, ValueError):  # a character set or encoding that nobody knows
        payload = part.get_payload(decode=True)
        return payload.decode(errors="replace") if isinstance(payload, bytes) else ""


def _header(message: EmailMessage, name: str) -> str:
    try:
        return _header_text(message.get(name, ""))
    except Exception:
        return ""


def _header_text(value: object) -> str:
    return str(value).replace("\r", "").replace("\n", " ")


def _date(message: EmailMessage) -> str | None:
    try:
        return parsedate_to_datetime(_header(message, "Date")).isoformat()
    except ValueError:
        return None
