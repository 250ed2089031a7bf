"""A process that has imported what the services run, and is forked instead of importing it again for every test.

`python -m tests.support.warm_server SOCKET MODULE…` listens on a Unix socket until its standard input ends. Who
connects asks for one child by a line of JSON, and hears two lines: its pid, and its exit code once it has ended.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import socket
import sys
from pathlib import Path
from typing import Any, Final

_ASKING_SECONDS: Final = 10.0


def main() -> None:
    """Serve; each child comes out of it too, and becomes the program that was asked for."""
    path, *names = sys.argv[1:]
    for name in names:
        _import(name)
    gc.freeze()  # no child looks through all of it when it ends: that takes longer than what most of them do
    request = _Server(Path(path)).serve()
    if request is not None:
        _become(request)
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


def _import(name: str) -> None:
    """The module, and all within it but programs: those are run."""
    module = importlib.import_module(name)
    for _, inner, _ in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}."):
        if not inner.endswith(".__main__"):
            importlib.import_module(inner)


class _Server:
    def __init__(self, path: Path) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path.with_suffix(".new")))
        self._listening.listen(64)
        path.with_suffix(".new").rename(path)
        self._children: dict[int, tuple[int, socket.socket]] = {}
        """By the file that tells a child's end: its pid, and who asked for it."""

    def serve(self) -> dict[str, Any] | None:
        """None once nobody needs it any more, and in a child what it is to run."""
        while True:
            listening = self._listening.fileno()
            readable, _, _ = select.select([0, listening, *self._children], [], [])
            if 0 in readable:
                return None
            for ended in self._children.keys() & set(readable):
                self._bury(ended)
            if listening in readable:
                request = self._fork()
                if request is not None:
                    return request

    def _fork(self) -> dict[str, Any] | None:
        """The request, in the child that is to serve it."""
        connection, _ = self._listening.accept()
        connection.settimeout(_ASKING_SECONDS)
        with connection.makefile() as lines:
            request: dict[str, Any] = json.loads(lines.readline())
        pid = os.fork()
        if pid == 0:
            connection.close()
            self._leave()
            return request
        _tell(connection, pid)
        self._children[os.pidfd_open(pid)] = (pid, connection)
        return None

    def _bury(self, ended: int) -> None:
        pid, connection = self._children.pop(ended)
        os.close(ended)
        _tell(connection, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        connection.close()

    def _leave(self) -> None:
        """What is the server's is none of a child's."""
        self._listening.close()
        for number, (_, connection) in self._children.items():
            os.close(number)
            connection.close()


def _tell(connection: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # who asked is gone
        connection.sendall(f"{number}\n".encode())


def _become(request: dict[str, Any]) -> None:
    """Streams, environment and arguments as a new process would have them."""
    for number, name in enumerate((os.devnull, request["stdout"], request["stderr"])):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        opened = os.open(name, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    sys.argv = [request["module"], *request["arguments"]]


if __name__ == "__main__":
    main()
