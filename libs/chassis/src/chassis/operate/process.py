"""Runs a verb in a process of its own, for a service whose own loop has better things to do."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MAX_WORDS: Final = 500


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended; `out` and `err` are what it wrote."""

    code: int
    out: bytes
    err: bytes

    @property
    def last_words(self) -> str:
        """What it said last, the line of an error as a rule."""
        text = (self.err or self.out).decode(errors="replace").strip()
        return text.splitlines()[-1][:MAX_WORDS] if text else "it said nothing"


def verb_command(service: str, verb: str, *options: str) -> tuple[str, ...]:
    """`python -m <service>.operate VERB …`, with the interpreter that runs this."""
    return sys.executable, "-m", f"{service}.operate", verb, *options


async def run_command(command: Sequence[str], *, timeout_seconds: float) -> Ended:
    """To its end, in this process's environment; whoever cancels this has it killed."""
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
    except OSError as error:
        return Ended(1, b"", f"error: no process for it: {error.strerror}".encode())
    try:
        async with asyncio.timeout(timeout_seconds):
            out, err = await process.communicate()
    except TimeoutError:
        return Ended(1, b"", b"error: it took too long")
    finally:
        # Also where this service ends: what is half made leaves nothing behind.
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    return Ended(process.returncode or 0, out, err)
