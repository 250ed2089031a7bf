"""The journal's files: what is appended is read again, whatever happened in between."""

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from gateway.journal import journal as journal_module
from gateway.journal.journal import Journal, JournalInUseError
from gateway.journal.position import Position, PositionFile
from gateway.journal.segments import BEGINNING, Cursor, Segments

from tests.support.eventually import eventually


@contextlib.asynccontextmanager
async def opened(directory: Path, *, keep_bytes: int = 10**9) -> AsyncIterator[Journal]:
    journal = Journal(directory, keep_seconds=3600, keep_bytes=keep_bytes)
    async with journal.opened():
        yield journal


@pytest_asyncio.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with opened(tmp_path) as journal:
        yield journal


def everything(segments: Segments, batch: int = 3) -> list[bytes]:
    found: list[bytes] = []
    cursor = BEGINNING
    while True:
        lines, cursor = segments.read(cursor, batch)
        if not lines:
            return found
        found += lines


async def test_lines_are_read_in_the_order_of_their_appending(journal: Journal) -> None:
    lines = [b"line %d" % number for number in range(10)]
    for line in lines:
        journal.append(line)
    assert everything(journal.segments) == lines


async def test_lines_can_be_read_at_once_and_their_end_is_the_journals(journal: Journal) -> None:
    journal.append(b"one")
    lines, cursor = journal.segments.read(BEGINNING, 10)
    assert (lines, cursor) == ([b"one"], journal.end)
    assert journal.segments.read(cursor, 10) == ([], cursor)
    assert journal.segments.bytes_between(BEGINNING, journal.end) == len(b"one\n")


async def test_every_start_has_a_segment_of_its_own_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    async with opened(tmp_path) as first:
        first.append(b"one")
    with Segments(tmp_path).path(1).open("ab") as torn:
        torn.write(b"torn")
    async with opened(tmp_path) as second:
        assert everything(second.segments) == [b"one"]
        assert second.segments.read(Cursor(1, 4), 10) == ([], Cursor(2, 0))
        second.append(b"two")
        assert everything(second.segments) == [b"one", b"two"]


async def test_line_that_is_still_being_written_is_not_there_yet(journal: Journal) -> None:
    journal.append(b"one")
    with journal.segments.path(1).open("ab") as half:
        half.write(b"ha")
        half.flush()
        assert everything(journal.segments) == [b"one"]
        half.write(b"lf\n")
    assert everything(journal.segments) == [b"one", b"half"]


async def test_two_processes_can_not_write_one_journal(journal: Journal, tmp_path: Path) -> None:
    with pytest.raises(JournalInUseError):
        async with opened(tmp_path):
            pass


async def test_long_journal_goes_on_in_a_new_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES", 100)
    async with opened(tmp_path) as journal:
        lines = [b"x" * 60 + b"%d" % number for number in range(6)]
        for number, line in enumerate(lines):
            journal.append(line)
            if number % 2:
                await eventually(lambda: journal.end.offset == 0)  # a new segment was begun
        assert len(journal.segments.numbers()) >= 3
        assert everything(journal.segments) == lines


async def test_old_segments_go_once_they_are_published_and_never_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        async with opened(tmp_path) as journal:
            journal.append(b"line")
    monkeypatch.setattr(journal_module, "CLEANING_SECONDS", 0.0)
    for number in (1, 2, 3):
        os.utime(Segments(tmp_path).path(number), (0, 0))
    async with opened(tmp_path) as journal:
        journal.released_before = Cursor(2, 5)
        await eventually(lambda: journal.segments.numbers() == [2, 3, 4])
        journal.released_before = Cursor(4, 0)
        await eventually(lambda: journal.segments.numbers() == [4])


async def test_published_segments_go_early_when_they_take_too_much_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        async with opened(tmp_path) as journal:
            journal.append(b"x" * 99)
    monkeypatch.setattr(journal_module, "CLEANING_SECONDS", 0.0)
    async with opened(tmp_path, keep_bytes=250) as journal:
        journal.released_before = Cursor(5, 0)
        await eventually(lambda: journal.segments.numbers() == [3, 4, 5])


async def test_position_is_remembered_and_a_broken_file_means_the_beginning(tmp_path: Path) -> None:
    file = PositionFile(tmp_path / "position.json")
    assert file.load() == Position()
    position = Position(published=Cursor(3, 70), sequence=9, resend=Cursor(1, 0), resend_until=Cursor(3, 7))
    file.save(position)
    assert file.load() == position
    (tmp_path / "position.json").write_bytes(b'{"published"')
    assert file.load() == Position()
