"""Becomes another program that dies with its parent; run as a script, before that program and in its place.

`python -I -S child.py PARENT_PID DEATH_SIGNAL USER READ_PATH -- PROGRAM ARGUMENT…`; USER `-` keeps the user.
Imports nothing but the standard library, and little of that: it stands before every start.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    parent_pid, death_signal, user, read_path, separator, *command = arguments
    if separator != "--" or not command:
        raise SystemExit("usage: child.py PARENT_PID DEATH_SIGNAL USER READ_PATH -- PROGRAM ARGUMENT…")
    if user != "-":
        _become(user, [read_path, command[0]])
    if not follow_parent(int(parent_pid), int(death_signal)):  # after the change of user, which undoes it
        raise SystemExit(1)
    os.execv(command[0], command)  # noqa: S606  the program is the supervisor's own choice


def follow_parent(parent_pid: int, death_signal: int) -> bool:
    """Have the kernel send this process `death_signal` when its parent dies (Linux); False if it is dead already."""
    if sys.platform != "linux":
        return True
    _prctl(_PR_SET_PDEATHSIG, death_signal)
    return os.getppid() == parent_pid


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
        # Not KEEPCAPS, which access(2) passes over, and initdb looks for its programs with that.
        _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    if not reachable:
        _keep_right_to_search(needed_paths[0])


def _keep_right_to_search(path: str) -> None:
    """Keep the least capability that enters folders; containers often have the wider one alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    held = (ctypes.c_uint32 * 6)()
    libc.capget(header, held)
    wanted = [number for number in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE) if held[1] & (1 << number)]
    bit = 1 << wanted[0] if wanted else 0
    low_and_high_sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    if not wanted or libc.capset(header, low_and_high_sets) != 0:
        raise SystemExit(f"the user that runs Postgres can't reach {path}: use a folder that everyone may enter")
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, wanted[0], 0, 0)


def _prctl(option: int, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    values = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(ctypes.c_int(option), *values) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


if __name__ == "__main__":
    main(sys.argv[1:])
