"""The data folder: one supervisor, private files, nothing lost."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from local_run.data_folder import DataFolder, DataFolderError
from local_run.servers import postgres
from local_run.supervision.log_file import LogFile


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "data")
    folder.create()
    return folder


def test_one_supervisor_at_a_time(folder: DataFolder) -> None:
    lock = folder.lock()
    assert folder.is_in_use()
    with pytest.raises(DataFolderError, match=f"already running on .* \\(pid {os.getpid()}\\)"):
        folder.lock()
    os.close(lock)
    assert not folder.is_in_use()


def test_secrets_are_made_once_and_private(folder: DataFolder) -> None:
    first = folder.load_secrets()
    assert folder.load_secrets() == first
    assert len(set(first.values())) == len(first)
    assert (folder.path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_a_new_versions_secret_is_added_to_those_that_stand(folder: DataFolder) -> None:
    first = folder.load_secrets()
    (folder.path / "secrets.json").write_text('{"postgres_owner": "old"}')
    second = folder.load_secrets()
    assert second["postgres_owner"] == "old"
    assert second.keys() == first.keys()


@pytest.mark.parametrize("content", ["{", "[]", '{"gateway": "http"}', '{"gateway": 0}', '{"gateway": [1]}', "\0"])
def test_a_damaged_file_is_named(folder: DataFolder, content: str) -> None:
    (folder.path / "ports.json").write_text(content)
    with pytest.raises(DataFolderError, match=r"^cannot read .*ports\.json: "):
        folder.load_ports()
    (folder.path / "processes.json").write_text(content)
    with pytest.raises(DataFolderError, match=r"^cannot read .*processes\.json: "):
        folder.load_processes()


def test_a_disk_without_room_for_a_new_folder_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=30 * 2**20))
    with pytest.raises(DataFolderError, match="has 30 MB left, and a new data folder needs 128; make room"):
        DataFolder(tmp_path / "data").create()
    (tmp_path / "data" / "secrets.json").write_text("{}")
    DataFolder(tmp_path / "data").create()  # what is there already is tried


def test_the_line_that_says_why_initdb_failed_is_told() -> None:
    output = "creating directory … ok\ninitdb: error: could not write: No space left on device\ninitdb: removing data\n"
    assert postgres._reason(output) == "initdb: error: could not write: No space left on device"


def test_operator_rights_end_with_the_supervisor(folder: DataFolder) -> None:
    folder.save_operator_environment({"SOLARIS_NATS_URL": "nats://x"})
    with pytest.raises(DataFolderError, match="no stack runs"):
        folder.load_operator_environment()
    lock = folder.lock()
    assert folder.load_operator_environment() == {"SOLARIS_NATS_URL": "nats://x"}
    os.close(lock)


def test_logs_are_bounded(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "x.log", max_bytes=1_000)
    for number in range(200):
        log.write(b"%040d" % number)
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["x.log", "x.log.1"]
    assert sum(file.stat().st_size for file in files) <= 2_200
    assert files[0].read_bytes().endswith(b"199\n")
