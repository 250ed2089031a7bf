"""A checkpoint is believed as it was signed, and in no other way."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger.audit.checkpoints.document import Document, read_document, write_document
from ledger.audit.checkpoints.errors import CheckpointError
from ledger.audit.checkpoints.heads import Head, HeadsWriter
from ledger.audit.checkpoints.keys import Keys, SigningKey
from ledger.audit.checkpoints.shelf import RECENT, expendable
from ledger.audit.checkpoints.statement import Statement
from ledger.audit.making import due_in
from ledger.audit.problems import Problems
from ledger.audit.signed_heads import SignedHeads
from ledger.settings import LedgerSettings
from ledger.store.log import AccountRange

SIGNING = SigningKey("5a" * 32)
KEYS = Keys(SIGNING)
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)

accounts = st.from_regex(r"[A-Za-z0-9._:-]{1,20}", fullmatch=True)
histories = st.dictionaries(accounts, st.tuples(st.integers(1, 9), st.binary(min_size=32, max_size=32)), max_size=8)
type History = dict[str, tuple[int, bytes]]


def _heads(history: History) -> list[Head]:
    return [Head(account_id, *history[account_id]) for account_id in sorted(history)]


def _written(folder: Path, heads: list[Head]) -> Path:
    writer = HeadsWriter(folder / "heads")
    for head in heads:
        writer.add(head)
    writer.close()
    statement = Statement(
        number=1,
        ledger="first",
        position=99,
        events=writer.events,
        accounts=writer.accounts,
        digest=writer.digest,
        made_at=NOW,
    )
    write_document(folder / "document", statement, SIGNING, folder / "heads")
    return folder / "document"


@given(history=histories)
def test_what_was_written_is_read(history: History) -> None:
    with tempfile.TemporaryDirectory() as folder:
        document = read_document(_written(Path(folder), _heads(history)), KEYS)
        assert list(document.heads()) == _heads(history)
        assert document.statement.events == sum(version for version, _ in history.values())


@given(data=st.data())
def test_no_changed_byte_and_no_cut_is_believed(data: st.DataObject) -> None:
    history = {"ana": (3, b"a" * 32), "bia": (1, b"b" * 32)}
    with tempfile.TemporaryDirectory() as folder:
        path = _written(Path(folder), _heads(history))
        content = path.read_bytes()
        place = data.draw(st.integers(0, len(content) - 1))
        damaged = bytearray(content)
        damaged[place] ^= data.draw(st.integers(1, 255))
        for other in (bytes(damaged), content[:place]):
            path.write_bytes(other)
            try:
                document = read_document(path, KEYS)
            except CheckpointError:
                continue
            # What compression does not need of its frame may differ; what is stated and read may not.
            assert document.statement.position == 99
            assert list(document.heads()) == _heads(history)


def test_heads_that_never_end_are_given_up_on(tmp_path: Path) -> None:
    path = _written(tmp_path, [Head("ana", 1, b"a" * 32)])
    header = path.read_bytes()[: read_document(path, KEYS).offset]
    writer = HeadsWriter(tmp_path / "bomb")
    writer.add(Head("x" * 20_000_000, 1, b"a" * 32))
    writer.close()
    path.write_bytes(header + (tmp_path / "bomb").read_bytes())
    with pytest.raises(CheckpointError, match="damaged"):
        read_document(path, KEYS)


def test_a_key_of_before_is_believed_where_it_is_named(tmp_path: Path) -> None:
    path = _written(tmp_path, [Head("ana", 1, b"a" * 32)])
    new = SigningKey("a5" * 32)
    with pytest.raises(CheckpointError, match="not believed"):
        read_document(path, Keys(new))
    assert isinstance(read_document(path, Keys(new, [SIGNING.public])), Document)
    assert isinstance(read_document(path, Keys(None, [SIGNING.public])), Document)


@pytest.mark.parametrize("content", ["5a" * 31, "", "PRIVATE KEY"])
def test_a_key_file_that_holds_no_key_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    named = {"SOLARIS_DATABASE_URL": "postgresql://ana@db/solaris", "SOLARIS_CHECKPOINT_KEY_FILE": str(file)}
    with pytest.raises(CheckpointError, match=str(file)):
        Keys.of(LedgerSettings.read(named))
    file.write_text(content)
    with pytest.raises(CheckpointError, match=f"{file}: must be 64 hexadecimal digits"):
        Keys.of(LedgerSettings.read(named))
    file.write_text("5a" * 32 + "\n")
    assert Keys.of(LedgerSettings.read(named)).believed == {SIGNING.public}


@given(signed=histories, found=histories, border=accounts)
def test_every_account_that_differs_is_named_however_the_log_is_divided(
    signed: History, found: History, border: str
) -> None:
    expected = {each for each in signed.keys() | found.keys() if signed.get(each) != found.get(each)}
    problems = Problems()
    for accounts_range in (AccountRange("", border), AccountRange(border)):
        comparison = SignedHeads(iter(_heads(signed)), accounts_range, problems)
        for position, head in enumerate(_heads(found)):
            if accounts_range.first <= head.account_id < accounts_range.end:
                comparison.take(head, position)
        comparison.finish()
    assert {problem.account_id for problem in problems.first()} == expected
    assert problems.count == len(expected)


@settings(max_examples=20)
@given(latest=st.integers(1, 600), keep_days=st.integers(1, 20))
def test_old_checkpoints_go_and_the_latest_week_stays(latest: int, keep_days: int) -> None:
    kept: list[int] = []
    for number in range(1, latest + 1):
        kept.append(number)
        gone = expendable(kept, keep_days)
        kept = [each for each in kept if each not in gone]
    assert kept[-1] == latest
    # Removed one by one as they were made, what is left is what would be left of all.
    everything = list(range(1, latest + 1))
    assert kept == [each for each in everything if each not in expendable(everything, keep_days)]
    days = keep_days * 24
    assert set(kept) >= set(range(max(1, latest - min(RECENT, days) + 1), latest + 1))
    assert all(each > latest - days for each in kept[:-1])
    assert expendable(kept, 0) == []


@pytest.mark.parametrize(
    ("age", "left"),
    [
        (timedelta(), 3_600),
        (timedelta(minutes=59, seconds=59), 1),
        (timedelta(hours=1), 0),
        (timedelta(days=400), 0),
        (timedelta(seconds=-1), 0),
        (timedelta(days=-400), 0),
    ],
)
def test_when_the_next_is_due_also_after_a_wrong_clock(age: timedelta, left: int) -> None:
    assert due_in(NOW - age, NOW, 3_600) == left
