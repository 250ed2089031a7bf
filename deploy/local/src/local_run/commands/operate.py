"""`python -m local_run.commands.operate VERB`: an operator's command against the running stack, for `make`.

Values come as `SOLARIS_OPERATE_<NAME>` environment variables and leave as arguments of a program: no shell reads them.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from chassis.operate.errors import RefusedError
from chassis.operate.output import standard_output

from local_run.data_folder import DataFolder, DataFolderError
from local_run.parts import Service, Tool
from local_run.services import SERVICES, TOOLS

_OPTION_PREFIX: Final = "SOLARIS_OPERATE_"
_GIVEN: Final = "GIVEN"
"""The option that names, in words, all variables on make's command line."""
_SETTING_PREFIX: Final = "SOLARIS_"
_PIECE_BYTES: Final = 64 * 1024
_OUTSIDE: Final = ("SOLARIS_DATABASE_URL", "SOLARIS_NATS_URL")
OPTIONS: Final = {"PLAN": "--name"}
"""Where an option's name is not the variable's in lower case."""


class UsageError(Exception):
    """A value is missing, empty, not taken, or names nothing; the text says which."""


type Program = Service | Tool
PROGRAMS: Final[tuple[Program, ...]] = (*SERVICES, *TOOLS)


def services_of(verb: str, services: Iterable[Program] = PROGRAMS) -> tuple[Program, ...]:
    """Those whose command it is, in the order in which they are asked.

    Raises:
        UsageError: it is nobody's.
    """
    having = tuple(service for service in services if verb in service.verbs)
    if not having:
        raise UsageError(f"error: unknown command {verb!r}")
    return having


def command_arguments(verb: str, environment: Mapping[str, str]) -> list[str]:
    """The verb and its options.

    Raises:
        UsageError: the verb is unknown, lacks a value, or was given one that it does not take, or an empty one, which
            must not mean all, or none.
    """
    known = services_of(verb)[0].verbs[verb]
    taken = (*known.required, *known.optional)
    values = {name: environment.get(_OPTION_PREFIX + name, "") for name in taken}
    words = environment.get(_OPTION_PREFIX + _GIVEN, "").split()
    given = [name for name in words if not name.startswith(_SETTING_PREFIX)]
    if unknown := [name for name in given if name not in taken]:
        raise UsageError(f"error: make {verb} takes {' '.join(taken) or 'no variables'}, and not {' '.join(unknown)}")
    missing = [name for name in known.required if not values[name]]
    if missing:
        raise UsageError(f"error: make {verb} needs {' '.join(f'{name}=…' for name in missing)}")
    if empty := [name for name in given if not values[name]]:
        raise UsageError(f"error: make {verb}: no value stands after {' '.join(f'{name}=' for name in empty)}")
    # One word per option: a value that begins with a dash stays a value.
    options = [f"{OPTIONS.get(name, '--' + name.lower())}={value}" for name, value in values.items() if value]
    return [verb, *options]


def stack_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment with the running stack's addresses, unless the caller names any of their own.

    Never half and half: events of one database must not be published to another stack's NATS.

    Raises:
        DataFolderError: no stack runs, and none is named.
    """
    kept = {name: value for name, value in environment.items() if not name.startswith(_OPTION_PREFIX)}
    if any(kept.get(name) for name in _OUTSIDE):
        return kept
    callers = {name: value for name, value in kept.items() if not name.startswith(_SETTING_PREFIX)}
    return callers | DataFolder.from_environment(environment).load_operator_environment()


def main() -> None:
    verb = sys.argv[1] if len(sys.argv) == 2 else ""
    try:
        arguments = command_arguments(verb, os.environ)
        services = asked_services(verb, os.environ)
        environment = stack_environment(os.environ)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    except DataFolderError as error:
        sys.exit(str(error))
    commands = {service.name: (sys.executable, "-m", f"{service.name}.operate", *arguments) for service in services}
    if len(commands) == 1:
        (command,) = commands.values()
        if sys.stdout is not None:  # closed: the command says so
            sys.stdout.flush()
        os.execve(command[0], command, environment)  # noqa: S606  our own program, no shell
    known = services[0].verbs[verb]
    try:
        sys.exit(join(commands, environment) if known.joined else ask_all(commands, environment, in_turn=known.in_turn))
    except KeyboardInterrupt:  # as the command, which has said so
        sys.exit(130)
    except BrokenPipeError:  # a reader that leaves early has what it wanted
        sys.exit(0)
    except RefusedError as error:
        sys.exit(f"error: {error}")


def ask_all(commands: Mapping[str, Sequence[str]], environment: Mapping[str, str], *, in_turn: bool) -> int:
    """One command after the other; returns the worst exit code. `in_turn`: none after one that failed."""
    worst = 0
    for command in commands.values():
        code = subprocess.run(command, env=environment, check=False).returncode  # noqa: S603  our own program, no shell
        worst = max(worst, code)
        if worst and in_turn:
            break
    return worst


def join(commands: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> int:
    """One JSON object of what each prints, by its name, as it is printed; returns the exit code of one that failed.

    What fails before it prints leaves no word on standard output; what fails later leaves no JSON.
    """
    begins = b"{"
    for name, command in commands.items():
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:  # noqa: S603  as above
            assert process.stdout is not None, "it is a pipe"
            while piece := process.stdout.read(_PIECE_BYTES):
                _write((begins + f'"{name}":'.encode() if begins else b"") + piece.removesuffix(b"\n"))
                begins = b""
        if process.returncode:
            return process.returncode
        begins = b","
    _write(b"}\n")
    return 0


def _write(text: bytes) -> None:
    with standard_output():
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()


def asked_services(verb: str, environment: Mapping[str, str]) -> tuple[Program, ...]:
    """All services of the verb, or the one of several that a value is for: a dead letter's id names it (`notifier:3`).

    Raises:
        UsageError: an id that names none.
    """
    services = services_of(verb)
    known = services[0].verbs[verb]
    if any(environment.get(_OPTION_PREFIX + name) for name in known.of_first):
        return services[:1]
    letter = environment.get(_OPTION_PREFIX + "ID", "")
    if len(services) == 1 or not letter or "ID" not in (*known.required, *known.optional):
        return services
    named, _, number = letter.partition(":")
    if named not in {service.name for service in services} or not (number.isascii() and number.isdigit()):
        names = " or ".join(f"{service.name}:<number>" for service in services)
        raise UsageError(f"error: ID: a dead letter is named {names}")
    return tuple(service for service in services if service.name == named)


if __name__ == "__main__":
    main()
