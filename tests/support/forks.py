"""Processes that need not import what they run: a warm one has, and forks a child for each, which dies as any other."""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.eventually import eventually

END_SECONDS: Final = 30.0
_RUNS: Final = "runs"


@dataclass
class Forked:
    """A child; its pid is nobody else's as long as nobody has asked for its code."""

    pid: int
    _warm: subprocess.Popen[bytes]
    _code: int | None = None

    def code(self) -> int | None:
        """Its code, as any subprocess has one: of a signal the negative number; None while it runs."""
        if self._code is None:
            answer = _asked(self._warm, {"code_of": self.pid})
            self._code = None if answer == _RUNS else int(answer)
        return self._code

    def send(self, number: int) -> None:
        """A signal, which reaches nobody once it has ended."""
        if self._code is None:
            os.kill(self.pid, number)

    async def ended(self, timeout_seconds: float = END_SECONDS) -> int:
        await eventually(lambda: self.code() is not None, timeout_seconds, message=f"process {self.pid} ended")
        assert self._code is not None
        return self._code


@dataclass(frozen=True)
class Forks:
    """Starts children of one warm process."""

    _warm: subprocess.Popen[bytes]

    def start(self, module: str, *words: str, environment: Mapping[str, str], out: Path, err: Path) -> Forked:
        """What `python -m module words` would be, with that environment and no other; its output is appended."""
        told = {"module": module, "words": words, "environment": dict(environment), "out": str(out), "err": str(err)}
        return Forked(int(_asked(self._warm, told)), self._warm)


@contextlib.contextmanager
def warm(*modules: str) -> Iterator[Forks]:
    """A process that has imported these and all that is in them, for the block; children that still run are killed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SOLARIS_")}
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, *modules],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    try:
        yield Forks(process)
    finally:
        process.communicate(timeout=END_SECONDS)


def _asked(process: subprocess.Popen[bytes], told: Mapping[str, Any]) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(told).encode() + b"\n")
    process.stdin.flush()
    answer = process.stdout.readline().decode().strip()
    assert answer, "the warm process has ended"
    return answer


def _fork_as_told() -> None:
    """The warm process: it answers each line, and turns into a child where one asks for it."""
    for name in sys.argv[1:]:
        _import(name)
    assert threading.active_count() == 1, "a thread would not be in the children"
    gc.freeze()  # no child looks through all of it when it ends: that takes longer than what most of them do
    children: set[int] = set()
    for line in sys.stdin.buffer:
        told = json.loads(line)
        if (asked := told.get("code_of")) is not None:
            ended, status = os.waitpid(asked, os.WNOHANG)
            children.discard(ended)
            _answer(os.waitstatus_to_exitcode(status) if ended else _RUNS)
        elif child := os.fork():
            children.add(child)
            _answer(child)
        else:
            _become(told)
            return
    for child in children:
        os.kill(child, signal.SIGKILL)


def _import(name: str) -> None:
    """A module, and all that is in it but programs: those are run."""
    module = importlib.import_module(name)
    for _, inner, _ in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."):
        if not inner.endswith(".__main__"):
            _import(inner)


def _answer(words: int | str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def _become(told: Mapping[str, Any]) -> None:
    appended = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for stream, path, flags in ((0, os.devnull, os.O_RDONLY), (1, told["out"], appended), (2, told["err"], appended)):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, stream)
        os.close(opened)
    os.environ.clear()
    os.environ.update(told["environment"])
    sys.argv[1:] = told["words"]
    runpy.run_module(told["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _fork_as_told()
