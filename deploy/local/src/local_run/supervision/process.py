"""Starts programs as direct children that die with this process, and stops them within a bound."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_DEATH_SECONDS: Final = 6.0
"""Postgres kills what has not ended after five."""
_CHILD = Path(__file__).with_name("child.py")
_SYSTEM_VARIABLES = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "LANGUAGE", "TZ", "VIRTUAL_ENV"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CACHE_HOME"),
    }
)
_SYSTEM_PREFIXES = ("LC_", "PYTHON", "MALLOC_")


def system_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What any program needs of the caller's environment; whatever else a shell holds is none of a child's business."""
    return {
        name: value
        for name, value in environment.items()
        if name in _SYSTEM_VARIABLES or name.startswith(_SYSTEM_PREFIXES)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to start; `environment` is the whole environment, `user` None keeps the present one.

    `death_signal` is what the kernel sends when this process dies, however it dies (Linux). `stop_signal` asks for
    an orderly end. `read_path` is what `user` must be able to reach.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    user: str | None = None
    read_path: Path = Path("/")
    directory: Path | None = None


class ProgramError(Exception):
    """A program can't be set up or started, or has failed; the text says why in one line."""


async def start(program: Program, output: int | IO[bytes] | None = None) -> Process:
    """Start the program in a session of its own, so that a terminal's Ctrl-C reaches the supervisor alone.

    `output` takes both its standard streams (`asyncio.subprocess.PIPE` to read them); None inherits them.
    """
    death = (str(os.getpid()), str(int(program.death_signal)))
    reach = (program.user or "-", str(program.read_path))
    # It turns into the program, which has its pid from the start.
    becoming = (sys.executable, "-I", "-S", str(_CHILD), *death, *reach, "--")
    return await asyncio.create_subprocess_exec(
        *becoming,
        *program.command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT if output is not None else None,
        env=dict(program.environment),
        cwd=program.directory,
        start_new_session=True,
    )


async def run_to_end(program: Program, timeout_seconds: float) -> tuple[int, str]:
    """Run the program; its exit code and all that it said. Left early, it is ended with all that it started.

    Raises:
        ProgramError: it did not end in time.
    """
    process = await start(program, output=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(timeout_seconds):
            output, _ = await process.communicate()
    except TimeoutError:
        raise ProgramError(f"{program.name} did not end within {timeout_seconds:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its session is its own, see `start`
            await process.wait()
    assert process.returncode is not None, "its output has ended, and so has it"
    return process.returncode, output.decode(errors="replace")


async def stop(process: Process, program: Program, timeout_seconds: float) -> None:
    """Ask the program to end; end it as at our own death when it has not within the time."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(program.stop_signal)
    try:
        async with asyncio.timeout(timeout_seconds):
            await process.wait()
    except TimeoutError:
        # Postgres then ends its children too, which would keep the next one from its data.
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(program.death_signal)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DEATH_SECONDS):
                await process.wait()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
