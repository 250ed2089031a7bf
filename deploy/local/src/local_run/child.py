"""Becomes another program that dies with its parent; run as a script, before that program and in its place.

`python -I -S child.py PARENT_PID DEATH_SIGNAL USER READ_PATH -- PROGRAM ARGUMENT…`; USER `-` keeps the user.
Imports nothing but the standard library, and little of that: it stands before every start.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    parent_pid, death_signal, user, read_path, separator, *command = arguments
    if separator != "--" or not command:
        raise SystemExit("usage: child.py PARENT_PID DEATH_SIGNAL USER READ_PATH -- PROGRAM ARGUMENT…")
    if user != "-":
        _become(user, [read_path, command[0]])
    if sys.platform == "linux":
        # After the change of user, which clears it. The parent may have died before this line: hence the second look.
        _prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != int(parent_pid):
            raise SystemExit(1)
    os.execv(command[0], command)  # noqa: S606  the program is the supervisor's own choice


def _become(user: str, needed_paths: list[str]) -> None:
    """Give root up for `user`; keeps the right to reach folders where `user` could not enter a needed path.

    A clone or data folder below a private one (`/root`, `mktemp -d`) is out of reach of the user that runs Postgres.
    Widening permissions of folders that are not ours is no answer; the right to read past them is given to this one
    process instead, and only then.
    """
    import pwd  # noqa: PLC0415  only as root

    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    reachable = all(os.access(path, os.X_OK, effective_ids=True) for path in needed_paths)
    os.seteuid(0)
    os.setegid(0)
    if not reachable:
        _prctl(_PR_SET_KEEPCAPS, 1)
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    if not reachable:
        _keep_right_to_search()


def _keep_right_to_search() -> None:
    bit = 1 << _CAP_DAC_READ_SEARCH
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    low_and_high_sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(header, low_and_high_sets) != 0:
        raise OSError(ctypes.get_errno(), "cannot keep the right to reach the data folder")
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_READ_SEARCH, 0, 0)


def _prctl(option: int, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    values = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(ctypes.c_int(option), *values) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


if __name__ == "__main__":
    main(sys.argv[1:])
