"""Children: direct, replaced when they die, dead when their parent is."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest
from local_run.ports import PortLostError, any_free
from local_run.servers import postgres
from local_run.servers.nats_server import NatsServer, running_nats
from local_run.servers.postgres import PostgresServer, running_postgres
from local_run.supervision import process
from local_run.supervision.process import Program, ProgramError
from local_run.supervision.supervised import Supervised

from tests.support.eventually import eventually, eventually_blocking

PARENT = """
import asyncio, os, sys
from local_run.supervision import process
from local_run.supervision.process import Program, ProgramError

async def main():
    command = (sys.executable, "-c", "import time; time.sleep(600)")
    child = await process.start(Program(name="child", command=command, environment=dict(os.environ)))
    print(child.pid, flush=True)
    await child.wait()

asyncio.run(main())
"""


def _python(code: str, **options: object) -> Program:
    return Program(name="child", command=(sys.executable, "-c", code), environment=dict(os.environ), **options)  # type: ignore[arg-type]


def test_a_child_dies_with_its_parent_however_that_dies() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child_pid = int(parent.stdout.readline())
    assert Path(f"/proc/{child_pid}").exists()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    eventually_blocking(lambda: not Path(f"/proc/{child_pid}").exists(), 5)


async def test_a_child_that_will_not_end_is_killed_in_time() -> None:
    deaf = _python(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    child = await process.start(deaf, output=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    await child.stdout.readline()
    await process.stop(child, deaf, 0.2)
    assert child.returncode == -signal.SIGKILL


async def test_output_is_read_line_by_line_and_a_dead_program_is_started_again() -> None:
    lines: list[bytes] = []
    supervised = Supervised(
        _python("import os; print('started', os.getpid(), flush=True); print('half', end='', flush=True); os._exit(3)"),
        on_line=lambda _, line: lines.append(line),
        on_change=lambda: None,
    )
    await supervised.start()
    try:
        await eventually(lambda: sum(line.startswith(b"started") for line in lines) >= 2)
    finally:
        await supervised.stop(1)
    assert b"half" in lines
    assert any(line.startswith(b"ended with code 3, starts again in 0.1 s") for line in lines)


async def test_a_stopped_program_stays_stopped() -> None:
    changes: list[int | None] = []
    supervised = Supervised(
        _python("import time; time.sleep(600)"),
        on_line=lambda *_: None,
        on_change=lambda: changes.append(supervised.pid),
    )
    first = await supervised.start()
    await supervised.stop(2)
    assert first.returncode is not None
    assert supervised.pid is None
    assert changes[-1] is None


async def test_a_very_long_line_is_passed_on_in_parts_and_blocks_nobody() -> None:
    lines: list[bytes] = []
    code = "import sys, time; sys.stdout.write('x' * 3_000_000 + '\\nend\\n'); sys.stdout.flush(); time.sleep(600)"
    supervised = Supervised(
        _python(code),
        on_line=lambda _, line: lines.append(line),
        on_change=lambda: None,
    )
    await supervised.start()
    try:
        await eventually(lambda: b"end" in lines)
    finally:
        await supervised.stop(1)
    assert sum(map(len, lines)) == 3_000_003
    assert max(map(len, lines)) < 1_000_000


async def test_postgres_that_was_killed_recovers_with_all_that_was_committed(tmp_path: Path) -> None:
    server = PostgresServer(directory=tmp_path / "postgres", port=any_free(), password="x")
    await server.initialise()
    supervised = Supervised(
        server.program(), on_line=lambda *_: None, on_change=lambda: None, prepare=server.remove_stale_lock
    )
    await server.wait_until_ready(await supervised.start())
    try:
        connection = await asyncpg.connect(server.url("postgres", socket=True))
        await connection.execute("CREATE TABLE facts (id integer); INSERT INTO facts VALUES (1)")
        old_pid = supervised.pid
        assert old_pid is not None
        os.kill(old_pid, signal.SIGKILL)
        await eventually(lambda: supervised.pid not in (None, old_pid))
        await eventually(lambda: _answers(server), 20)
        again = await asyncpg.connect(server.url("postgres", socket=True))
        assert await again.fetchval("SELECT count(*) FROM facts") == 1
        await again.close()
        connection.terminate()
    finally:
        await supervised.stop(5)


async def test_a_start_waits_for_what_a_killed_postgres_left(tmp_path: Path) -> None:
    server = PostgresServer(directory=tmp_path / "postgres", port=any_free(), password="x")
    await server.initialise()
    child = await process.start(server.program(), output=asyncio.subprocess.DEVNULL)
    await server.wait_until_ready(child)
    connection = await asyncpg.connect(server.url("postgres"))
    backend = await connection.fetchval("SELECT pg_backend_pid()")
    os.kill(backend, signal.SIGSTOP)
    child.kill()
    await child.wait()
    server.remove_stale_lock()
    starting = asyncio.create_task(server.initialise())
    try:
        done, _ = await asyncio.wait([starting], timeout=0.3)
        assert not done
    finally:
        os.kill(backend, signal.SIGCONT)
        connection.terminate()
    await starting
    async with running_postgres(tmp_path / "postgres", port=server.port, password="x"):
        pass


async def _answers(server: PostgresServer) -> bool:
    try:
        connection = await asyncpg.connect(server.url("postgres"), timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


async def test_another_postgres_on_the_port_is_not_taken_for_ours(tmp_path: Path) -> None:
    async with running_postgres(tmp_path / "first") as first:
        for password in ("another", first.password):
            second = PostgresServer(directory=tmp_path / "second", port=first.port, password=password)
            await second.initialise()
            child = await process.start(second.program(), output=asyncio.subprocess.DEVNULL)
            with pytest.raises(PortLostError, match=f"port {first.port}, chosen for postgres"):
                await second.wait_until_ready(child)
            await process.stop(child, second.program(), 5)


async def test_another_nats_on_the_port_is_not_taken_for_ours(tmp_path: Path) -> None:
    async with running_nats(tmp_path / "first") as first:
        second = NatsServer(directory=tmp_path / "second", port=first.port, passwords=first.passwords)
        second.initialise()
        child = await process.start(second.program(), output=asyncio.subprocess.DEVNULL)
        with pytest.raises(PortLostError, match=f"port {first.port}, chosen for nats"):
            await second.wait_until_ready(child)
        await process.stop(child, second.program(), 5)


async def test_a_stale_lock_with_a_living_strangers_pid_does_not_keep_postgres_down(tmp_path: Path) -> None:
    async with running_postgres(tmp_path / "postgres") as server:
        pass
    (server.data_directory / "postmaster.pid").write_text(f"{os.getppid()}\n{server.data_directory}\n1\n1\n\n\n")
    assert server.leftover_pid() is None
    server.remove_stale_lock()
    async with running_postgres(tmp_path / "postgres", port=server.port):
        pass


async def test_a_data_folder_of_another_user_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    foreign = tmp_path if os.getuid() == 0 else Path("/usr/share")  # as root Postgres runs as another user than ours
    before = (foreign.stat().st_mode, sorted(foreign.iterdir()))
    with pytest.raises(ProgramError, match="belongs to another user"):
        await PostgresServer(directory=foreign, port=any_free(), password="x").initialise()
    assert (foreign.stat().st_mode, sorted(foreign.iterdir())) == before


async def test_postgres_starts_below_a_folder_that_only_we_may_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    # Programs and data alike, as in a clone below /root. The programs' libraries stand beside the package.
    package = Path(postgres._binary("postgres")).parents[2]
    for folder in (package, package.with_name(package.name + ".libs")):
        shutil.copytree(folder, private / folder.name, ignore=shutil.ignore_patterns("include", "pginstall"))
    monkeypatch.setattr(postgres, "_binary", lambda name: str(private / package.name / "pginstall18" / "bin" / name))
    async with running_postgres(private / "postgres") as server:
        connection = await asyncpg.connect(server.url("postgres"))
        assert await connection.fetchval("SELECT current_setting('data_directory')") == str(server.data_directory)
        await connection.close()
    assert private.stat().st_mode & 0o777 == 0o700


async def test_a_socket_path_that_is_too_long_moves_to_a_short_private_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    async with running_postgres(deep / "postgres") as server:
        assert len(str(server.socket_directory())) < 100
        assert server.socket_directory().stat().st_mode & 0o077 == 0
        connection = await asyncpg.connect(server.url("postgres", socket=True))
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
