"""Migrations beside running services: they wait for nobody for long, and nobody waits for them."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from chassis import locks
from chassis.migrations import MigrationError, NewerSchemaError, migrate

from tests.support.eventually import eventually
from tests.support.infrastructure import Postgres

_numbers = count(1)


class Revisions:
    """A folder of migrations, in which each revision follows the one before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "versions").mkdir()
        self._last: str | None = None

    def add(self, *lines: str, imports: str = "from alembic import op") -> str:
        revision = f"{len(list((self.folder / 'versions').iterdir())) + 1:04}"
        body = "\n".join(f"    {line}" for line in lines)
        text = f"{imports}\nrevision = {revision!r}\ndown_revision = {self._last!r}\n\ndef upgrade():\n{body}\n"
        (self.folder / "versions" / f"{revision}_step.py").write_text(text)
        self._last = revision
        return revision


@pytest.fixture
def revisions(tmp_path: Path) -> Revisions:
    revisions = Revisions(tmp_path)
    revisions.add("op.execute('CREATE TABLE shelf.books (title text)')", "op.execute('CREATE TABLE shelf.maps ()')")
    return revisions


@pytest_asyncio.fixture
async def url(postgres_server: Postgres) -> AsyncIterator[str]:
    name = f"migrations_{next(_numbers)}"
    yield await postgres_server.create_database(name)
    await postgres_server.drop_database(name)


@pytest_asyncio.fixture
async def other(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's connection."""
    connection = await asyncpg.connect(url, timeout=10)
    yield connection
    await connection.close()


async def _migrate(url: str, revisions: Revisions, patience_seconds: float = 30.0) -> list[str]:
    return await migrate(url, "shelf", folder=revisions.folder, patience_seconds=patience_seconds)


async def _waits_for_a_lock(connection: asyncpg.Connection) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'shelf-migrate' AND wait_event_type = 'Lock'"
        )
    )


async def test_what_is_missing_is_applied_once(url: str, revisions: Revisions) -> None:
    assert await _migrate(url, revisions) == ["0001"]
    revisions.add("op.execute('CREATE TABLE shelf.atlases ()')")
    revisions.add("op.execute('CREATE TABLE shelf.scores ()')")
    assert await _migrate(url, revisions) == ["0002", "0003"]
    assert await _migrate(url, revisions) == []


async def test_a_revision_that_needs_a_lock_lets_everybody_else_pass_while_it_waits(
    url: str, revisions: Revisions, other: asyncpg.Connection
) -> None:
    await _migrate(url, revisions)
    revisions.add("op.execute('ALTER TABLE shelf.books ADD COLUMN pages int')")
    third = await asyncpg.connect(url, timeout=10)
    reading = other.transaction()
    await reading.start()
    await other.execute("SELECT * FROM shelf.books")
    migrating = asyncio.create_task(_migrate(url, revisions))
    try:
        await eventually(lambda: _waits_for_a_lock(third), 10, message="the migration waits")
        # It would stand behind the migration, and the migration behind the reader, for as long as the reader likes.
        await asyncio.wait_for(third.execute("SELECT * FROM shelf.books"), 10)
        assert not migrating.done()
        await reading.rollback()
        assert await asyncio.wait_for(migrating, 20) == ["0002"]
    finally:
        migrating.cancel()
        await third.close()


async def test_revisions_before_one_that_fails_stay_applied(
    url: str, revisions: Revisions, other: asyncpg.Connection
) -> None:
    revisions.add("op.execute('CREATE TABLE shelf.half ()')", "op.execute('SELECT 1 / 0')")
    with pytest.raises(MigrationError, match=r"^shelf: division by zero$"):
        await _migrate(url, revisions)
    assert await other.fetchval("SELECT version_num FROM shelf.alembic_version") == "0001"
    assert await other.fetchval("SELECT to_regclass('shelf.half')") is None
    (revisions.folder / "versions" / "0002_step.py").unlink()
    assert await _migrate(url, revisions) == []


async def test_an_index_is_built_while_others_write(url: str, revisions: Revisions, other: asyncpg.Connection) -> None:
    await _migrate(url, revisions)
    revisions.add(
        "build_index('shelf.books_by_title', 'shelf.books (title)')",
        imports="from chassis.migrations import build_index",
    )
    await other.execute("CREATE UNIQUE INDEX broken ON shelf.books (title)")
    writing = other.transaction()
    await writing.start()
    await other.execute("INSERT INTO shelf.books VALUES ('a')")
    migrating = asyncio.create_task(_migrate(url, revisions))
    third = await asyncpg.connect(url, timeout=10)
    try:
        await eventually(lambda: _waits_for_a_lock(third), 10, message="the index waits for the writer")
        await asyncio.wait_for(third.execute("INSERT INTO shelf.books VALUES ('b')"), 10)
        await writing.commit()
        assert await asyncio.wait_for(migrating, 20) == ["0002"]
    finally:
        migrating.cancel()
        await third.close()
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'shelf.books_by_title'::regclass"
    assert await other.fetchval(valid) is True


async def test_an_index_that_an_interrupted_run_left_behind_is_made_anew(
    url: str, revisions: Revisions, other: asyncpg.Connection
) -> None:
    await _migrate(url, revisions)
    await other.execute("INSERT INTO shelf.books VALUES ('a'), ('a')")
    with pytest.raises(asyncpg.UniqueViolationError):
        await other.execute("CREATE UNIQUE INDEX CONCURRENTLY books_by_title ON shelf.books (title)")
    await other.execute("DELETE FROM shelf.books")
    revisions.add(
        "build_index('shelf.books_by_title', 'shelf.books (title)')",
        imports="from chassis.migrations import build_index",
    )
    assert await _migrate(url, revisions) == ["0002"]
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'shelf.books_by_title'::regclass"
    assert await other.fetchval(valid) is True


async def test_two_runs_at_once_apply_each_revision_once_even_where_an_index_is_built(
    url: str, revisions: Revisions
) -> None:
    revisions.add(
        "build_index('shelf.books_by_title', 'shelf.books (title)')",
        imports="from chassis.migrations import build_index",
    )
    both = await asyncio.wait_for(asyncio.gather(_migrate(url, revisions), _migrate(url, revisions)), 30)
    assert sorted(both) == [[], ["0001", "0002"]]


async def test_a_run_that_never_gets_its_turn_says_so(
    url: str, revisions: Revisions, other: asyncpg.Connection
) -> None:
    await other.execute("SELECT pg_advisory_lock($1)", locks.MIGRATION)
    with pytest.raises(MigrationError, match="another migration"):
        await _migrate(url, revisions, patience_seconds=0.3)


async def test_an_older_version_refuses_what_a_newer_one_migrated(url: str, revisions: Revisions) -> None:
    newest = revisions.add("op.execute('CREATE TABLE shelf.new ()')")
    await _migrate(url, revisions)
    (revisions.folder / "versions" / f"{newest}_step.py").unlink()
    with pytest.raises(NewerSchemaError, match=r"schema shelf has revision 0002.*newer") as refused:
        await _migrate(url, revisions)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("database", ["nobody:wrong@127.0.0.1:1/x", "nowhere"])
async def test_a_database_that_does_not_answer_is_told(url: str, revisions: Revisions, database: str) -> None:
    wrong = f"postgresql://{database}" if "@" in database else url.rpartition("/")[0] + "/" + database
    with pytest.raises(MigrationError, match="does not answer"):
        await _migrate(wrong, revisions)


@pytest.mark.parametrize(
    ("service", "told"),
    [
        ("nobody", "cannot migrate: no service nobody with migrations is installed here"),
        ("json", "cannot migrate: no service json with migrations is installed here"),
        ("../ledger", "cannot migrate: no service ../ledger with migrations is installed here"),
        ("ledger", "cannot migrate: the database does not answer: "),
    ],
)
def test_what_stops_the_command_is_its_one_line(service: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "versions").mkdir()  # of somebody else's
    environment = {"SOLARIS_DATABASE_URL": "postgresql://nobody:wrong@127.0.0.1:1/x"}
    command = [sys.executable, "-m", "chassis.migrate", service]
    ran = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(told)
    assert ran.stderr.count("\n") == 1
