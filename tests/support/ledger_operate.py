"""Operators' commands as processes."""

import atexit
import contextlib
import functools
import json
import os
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.forks import Forks, warm

NOWHERE = "nats://127.0.0.1:1"
CATALOG = Path(__file__).parents[2] / "deploy" / "catalog.toml"


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # whatever shape the verb prints
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    def assert_refused(self, code: int) -> None:
        """One line of error, nothing on standard output."""
        assert self.code == code, self
        assert self.out == ""
        assert self.err.startswith("error: ")
        assert self.err.count("\n") == 1


type Operate = Callable[..., Awaitable[Ran]]


def operate_on(database_url: str, service: str = "ledger") -> Operate:
    """Run `python -m <service>.operate` on a database; keywords are options, and `environment` adds variables."""

    async def run(verb: str, environment: dict[str, str] | None = None, **options: object) -> Ran:
        words = [f"--{name.rstrip('_')}={value}" for name, value in options.items()]
        environment = {
            "PATH": os.environ["PATH"],
            "SOLARIS_DATABASE_URL": database_url,
            "SOLARIS_CATALOG": str(CATALOG),
            **({"SOLARIS_NATS_URL": NOWHERE} if service in ("billing", "company") else {}),
            **(environment or {}),
        }
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder) / "out", Path(folder) / "err"
            process = _forks().start(f"{service}.operate", verb, *words, environment=environment, out=out, err=err)
            code = await process.ended(60.0)
            return Ran(code, out.read_text(), err.read_text())

    return run


@functools.cache
def _forks() -> Forks:
    """Of one process that has imported all verbs, until the tests end."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(warm("ledger.operate", "notifier.operate", "billing.operate", "company.operate"))
