"""The data folder: one supervisor, private files, nothing lost."""

import os
from pathlib import Path

import pytest
from local_run.data_folder import DataFolder, DataFolderError
from local_run.log_file import LogFile


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


def test_a_damaged_file_is_named(folder: DataFolder) -> None:
    (folder.path / "ports.json").write_text("{")
    with pytest.raises(DataFolderError, match=r"cannot read .*ports\.json"):
        folder.load_ports()


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
