"""`python -m ledger.operate VERB`: answers on standard output as JSON, one line of error otherwise."""

import contextlib
import sys

from contracts.errors import InvalidError, SolarisError
from typer import Abort, Exit, TyperException

from ledger.operate.commands import app
from ledger.operate.output import OutputError, finish

BAD_INPUT = 2
FAILED = 1


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Carry out one command; returns the exit code: 0 done, 1 refused or failed, 2 bad input."""
    try:
        result = app(arguments, standalone_mode=False)
        finish()
    except TyperException as error:
        return _told(error.format_message(), BAD_INPUT)
    except InvalidError as error:
        return _told(str(error), BAD_INPUT)
    except SolarisError as error:
        return _told(str(error), FAILED)
    except (Abort, KeyboardInterrupt):
        return _told("interrupted", 130)
    except Exit as stop:
        return stop.exit_code
    except Exception as error:
        if _is_database_error(error):
            return _told(f"the database: {str(error) or type(error).__name__}", FAILED)
        if _is_unreadable(error):
            return _told(f"what is stored can't be read by this version: {error}; see verify", FAILED)
        raise
    return result if isinstance(result, int) else 0


def _is_database_error(error: Exception) -> bool:
    from chassis.postgres import DATABASE_ERRORS  # noqa: PLC0415  it takes long to import

    return isinstance(error, DATABASE_ERRORS)


def _is_unreadable(error: Exception) -> bool:
    from msgspec import DecodeError  # noqa: PLC0415  loaded already by whatever met such an error

    from ledger.store.codec import UnknownEventTypeError  # noqa: PLC0415  likewise

    return isinstance(error, DecodeError | UnknownEventTypeError)


def _told(text: str, code: int) -> int:
    # An output that takes nothing has been told already, or is the lesser evil.
    with contextlib.suppress(OutputError):
        finish()
    sys.stderr.write(f"error: {' '.join(text.split())}\n")
    return code


if __name__ == "__main__":
    main()
