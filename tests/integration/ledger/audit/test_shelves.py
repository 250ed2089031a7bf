"""Where checkpoints are kept: whole or not at all, never over another, in a folder as in a bucket."""

import asyncio
import os
import resource
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from ledger.audit.checkpoints.errors import CheckpointError, TakenError
from ledger.audit.checkpoints.folder import FolderShelf
from ledger.audit.checkpoints.opening import open_shelf
from ledger.audit.checkpoints.shelf import Shelf
from ledger.settings import LedgerSettings
from local_run.ports import any_free

from tests.support.bucket import Bucket, running_bucket
from tests.support.checkpoints import KEY, CheckpointDesk
from tests.support.ledger_operate import operate_on

NOWHERE = {"SOLARIS_DATABASE_URL": "postgresql://ana@db/solaris"}


@pytest_asyncio.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bucket]:
    async with running_bucket(tmp_path_factory.mktemp("s3")) as bucket:
        yield bucket


@pytest.fixture(params=["folder", "bucket"])
def shelf(request: pytest.FixtureRequest, server: Bucket, tmp_path: Path) -> Shelf:
    """An empty one of either kind."""
    if request.param == "folder":
        return FolderShelf(tmp_path / "checkpoints")
    place = f"s3://solaris/{tmp_path.name}"
    return open_shelf(LedgerSettings.read(NOWHERE | server.environment | {"SOLARIS_CHECKPOINTS": place}))


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_what_is_put_is_fetched_and_nothing_is_written_over(shelf: Shelf, tmp_path: Path) -> None:
    assert shelf.numbers() == []
    shelf.put(12, _file(tmp_path / "twelve", b"twelve" * 400_000))
    shelf.put(9, _file(tmp_path / "nine", b"nine"))
    with pytest.raises(TakenError):
        shelf.put(12, _file(tmp_path / "other", b"other"))
    assert shelf.numbers() == [9, 12]
    shelf.fetch(12, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b"twelve" * 400_000
    shelf.remove(9)
    shelf.remove(9)
    assert shelf.numbers() == [12]
    with pytest.raises(CheckpointError, match="has no checkpoint 9"):
        shelf.fetch(9, tmp_path / "gone")


def test_of_many_that_put_one_number_at_once_one_succeeds(shelf: Shelf, tmp_path: Path) -> None:
    documents = [_file(tmp_path / f"d{number}", b"%d" % number * 1_000) for number in range(8)]

    def put(document: Path) -> bool:
        try:
            shelf.put(1, document)
        except TakenError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        succeeded = list(threads.map(put, documents))
    assert sum(succeeded) == 1
    shelf.fetch(1, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == documents[succeeded.index(True)].read_bytes()


def test_a_bucket_that_already_has_this_very_document_has_taken_it(server: Bucket, tmp_path: Path) -> None:
    """The answer to the first write was lost, and it was repeated."""
    bucket = open_shelf(LedgerSettings.read(NOWHERE | server.environment | {"SOLARIS_CHECKPOINTS": "s3://solaris/b"}))
    document = _file(tmp_path / "document", b"the same")
    bucket.put(1, document)
    bucket.put(1, document)
    assert bucket.numbers() == [1]


PUT = """
import sys
from pathlib import Path
from ledger.audit.checkpoints.folder import FolderShelf
FolderShelf(Path(sys.argv[1])).put(1, Path(sys.argv[2]))
"""


async def test_who_is_killed_while_writing_leaves_no_checkpoint(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "checkpoints"
    os.mkfifo(pipe)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PUT, str(folder), str(pipe))
    # It opens once both sides do; the writer then waits for the rest of the document.
    source = await asyncio.to_thread(os.open, pipe, os.O_WRONLY)
    os.write(source, b"the first half")
    process.kill()
    await process.wait()
    os.close(source)
    shelf = FolderShelf(folder)
    assert shelf.numbers() == []
    assert [each.suffix for each in folder.iterdir()] == [".part"]
    shelf.put(1, _file(tmp_path / "document", b"whole"))
    (leftover,) = folder.glob(".*.part")
    os.utime(leftover, (0, 0))
    shelf.put(2, _file(tmp_path / "document", b"whole"))
    assert sorted(each.name for each in folder.iterdir()) == ["checkpoint-0000000001", "checkpoint-0000000002"]


@contextmanager
def _no_room(size: int = 1_000) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_where_there_is_no_room_nothing_is_left_and_the_place_is_named(tmp_path: Path) -> None:
    shelf = FolderShelf(tmp_path / "checkpoints")
    document = _file(tmp_path / "document", b"x" * 5_000)
    with _no_room(), pytest.raises(CheckpointError, match=f"{shelf.place}: File too large"):
        shelf.put(1, document)
    assert list((tmp_path / "checkpoints").iterdir()) == []


async def test_where_there_is_no_room_for_the_heads_no_checkpoint_is_made(own_ledger: str, tmp_path: Path) -> None:
    desk = CheckpointDesk(own_ledger, str(tmp_path / "checkpoints"))
    with _no_room(100), pytest.raises(CheckpointError, match="can't be written down: File too large"):
        await desk.make()
    assert desk.shelf.numbers() == []
    await desk.made()


def test_a_folder_that_can_not_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    shelf = FolderShelf(tmp_path / "file")
    for attempt in (shelf.numbers, lambda: shelf.put(1, tmp_path / "file"), lambda: shelf.fetch(1, tmp_path / "x")):
        with pytest.raises(CheckpointError, match=str(tmp_path / "file")):
            attempt()


async def test_a_bucket_serves_as_a_folder_does(own_ledger: str, server: Bucket) -> None:
    operate = operate_on(own_ledger)
    environment = server.environment | {"SOLARIS_CHECKPOINT_KEY": KEY}
    for number in (1, 2):
        assert (await operate("checkpoint", environment=environment)).json["statement"]["number"] == number
    assert sorted(each.name for each in server.folder.iterdir()) == ["checkpoint-0000000001", "checkpoint-0000000002"]
    assert (await operate("verify", environment=environment, checkpoint="latest")).json["signed"]["number"] == 2
    assert (await operate("verify", environment=environment, since="1")).json["new_events"] == 0


async def test_a_bucket_that_does_not_answer_is_told_in_one_line(own_ledger: str, server: Bucket) -> None:
    nobody = {"SOLARIS_CHECKPOINTS_S3_URL": f"http://127.0.0.1:{any_free()}", "SOLARIS_CHECKPOINT_KEY": KEY}
    ran = await operate_on(own_ledger)("checkpoint", environment=server.environment | nobody)
    ran.assert_refused(1)
    assert server.place in ran.err


async def test_a_bucket_that_is_not_there_is_told_in_one_line(own_ledger: str, server: Bucket) -> None:
    elsewhere = {"SOLARIS_CHECKPOINTS": "s3://no-such-bucket/x", "SOLARIS_CHECKPOINT_KEY": KEY}
    ran = await operate_on(own_ledger)("checkpoint", environment=server.environment | elsewhere)
    ran.assert_refused(1)
    assert "s3://no-such-bucket/x" in ran.err
