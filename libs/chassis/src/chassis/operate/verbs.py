"""Carries out one verb: finds it, reads its options, tells what became of it by lines and an exit code."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import wraps
from keyword import iskeyword
from pkgutil import resolve_name
from typing import Any, Final

import typer

from chassis.operate.errors import BadInputError, RefusedError
from chassis.operate.options import variable
from chassis.operate.output import standard_output

FAILED: Final = 1
BAD_INPUT: Final = 2
INTERRUPTED: Final = 130

LETTER_VERBS: Final = ("dead-letters", "dead-letters-retry", "dead-letters-discard")
"""Of `chassis.operate.dead_letters.LetterVerbs`, which every service that consumes has."""

type Verb = Callable[..., Coroutine[Any, Any, int | None]]
"""Its parameters are its options, its docstring is its help, what it returns is the exit code."""
type Errors = tuple[type[Exception], ...]


class Verbs:
    """The verbs of one service, by the place that holds them: a module, or `module:object`.

    A verb is an async function of the verb's name, with underscores, and with one more behind a word of Python's. Its
    module is imported only when it is asked for: a verb that reads one row must not wait for what another one needs.
    `refused` and `bad_input` are the service's own errors with a text for whoever typed.
    """

    def __init__(self, places: Mapping[str, Sequence[str]], *, refused: Errors = (), bad_input: Errors = ()) -> None:
        self._place_of = {verb: place for place, verbs in places.items() for verb in verbs}
        self._refused: Errors = (RefusedError, *refused)
        self._bad_input: Errors = (BadInputError, *bad_input)

    def main(self) -> None:
        sys.exit(self.run(sys.argv[1:]))

    def run(self, arguments: Sequence[str]) -> int:
        """Carry out one verb; returns the exit code: 0 done, 1 refused or failed, 2 bad input, 130 interrupted."""
        if (
            sys.stdout is None
        ):  # closed (`>&-`): nobody would learn what was done, and the next file would be in its place
            return _told("standard output is closed", FAILED)
        try:
            with standard_output():
                code: int | None = self.commands(arguments[:1])(arguments, standalone_mode=False)
                sys.stdout.flush()
        except BrokenPipeError:
            return 0  # a reader that leaves early has what it wanted
        except KeyboardInterrupt:  # while what the verb needs was still being imported
            return _told("interrupted", INTERRUPTED)
        except self._bad_input as error:
            return _told(str(error), BAD_INPUT)
        except self._refused as error:
            return _told(str(error), FAILED)
        except typer.BadParameter as error:  # without a message where an option is missing
            names = error.param.opts if error.param is not None else []
            return _told(error.message or f"{variable(names[0])}=… is needed", BAD_INPUT)
        except typer.TyperException as error:
            return _told(error.format_message(), BAD_INPUT)
        return code or 0

    def commands(self, asked: Sequence[str]) -> typer.Typer:
        """The verb that is asked for, or all of them where it is none of them: to list, and to suggest from."""
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        app.callback()(lambda: None)  # one verb alone is named like one of several
        for verb in self._place_of if set(asked).isdisjoint(self._place_of) else asked:
            name = f"{verb}_" if iskeyword(verb) else verb.replace("-", "_")
            function: Verb = getattr(resolve_name(self._place_of[verb]), name)
            app.command(verb)(self._command(function))
        return app

    def _command(self, function: Verb) -> Callable[..., int | None]:
        @wraps(function)
        def command(**options: Any) -> int | None:
            try:
                return asyncio.run(function(**options))
            except BrokenPipeError:
                return 0  # as above; Typer would call it a failure
            except KeyboardInterrupt:
                # A connection that was just being made leaves an error behind that nobody waits for any more.
                logging.getLogger("asyncio").disabled = True
                return _told("interrupted", INTERRUPTED)
            except (*self._refused, *self._bad_input):
                raise
            except Exception as error:
                _refuse_for_known_causes(error)
                raise

        return command


def _refuse_for_known_causes(error: Exception) -> None:
    # Loaded already by whatever met such an error.
    from chassis.postgres import DATABASE_ERRORS  # noqa: PLC0415
    from chassis.settings import SettingsError  # noqa: PLC0415

    if isinstance(error, SettingsError):
        raise BadInputError(str(error)) from error
    if isinstance(error, DATABASE_ERRORS):
        # The driver's own words: SQLAlchemy's quote the statement with its values.
        words = str(getattr(error, "driver_exception", error))
        raise RefusedError(f"the database: {words or type(error).__name__}") from error


def _told(text: str, code: int) -> int:
    # An output that takes nothing has been told already, or is the lesser evil; one that is closed is None.
    if sys.stdout is not None:
        with contextlib.suppress(RefusedError, BrokenPipeError), standard_output():
            sys.stdout.flush()
    if sys.stderr is not None:
        sys.stderr.write(f"error: {' '.join(text.split())}\n")
    return code
