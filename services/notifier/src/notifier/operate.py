"""`python -m notifier.operate`: what operators do with dead letters, and with what is kept of a person's mails."""

# Heavy imports stand inside the commands, so that a mistyped option is told without loading a database driver.
# ruff: noqa: PLC0415
import asyncio
import os
import sys
from typing import Annotated, Final

import typer
from contracts.limits import is_clean_text

MAX_REASON_LENGTH: Final = 500
DatabaseUrl = Annotated[
    str, typer.Option(envvar=["SOLARIS_DATABASE_URL", "DATABASE_URL"], help="Where the notifier's schema is.")
]
Account = Annotated[str, typer.Option("--account", help="Account id.")]
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def fail(message: str) -> typer.Exit:
    """One line on standard error, exit code 1."""
    typer.echo(f"error: {message}", err=True)
    return typer.Exit(1)


def parse_letter_id(text: str) -> int:
    """`notifier:3` → 3."""
    from notifier.store.tables import LETTERS

    number = LETTERS.number_of(text)
    if number is None:
        raise fail(f"not a dead letter of the notifier: {text}")
    return number


@app.command("dead-letters")
def list_dead_letters(database_url: DatabaseUrl) -> None:
    """List dead letters as JSON lines, oldest first."""
    from chassis.postgres import DATABASE_ERRORS

    from notifier.letters import listing

    try:
        for line in asyncio.run(listing(database_url)):
            typer.echo(line)
    except DATABASE_ERRORS as error:
        raise fail(f"database: {type(error).__name__}") from None


@app.command("dead-letters-retry")
def retry_dead_letters(
    database_url: DatabaseUrl,
    letter: Annotated[str | None, typer.Option("--id", help="One dead letter, e.g. notifier:3; else all.")] = None,
) -> None:
    """Redeliver dead letters; prints one JSON line each, exit 1 when one fails again."""
    from chassis.postgres import DATABASE_ERRORS
    from contracts.codec import encode

    from notifier.letters import retry_letters

    number = None if letter is None else parse_letter_id(letter)
    try:
        results = asyncio.run(retry_letters(database_url, number))
    except DATABASE_ERRORS as error:
        raise fail(f"database: {type(error).__name__}") from None
    if number is not None and not results:
        raise fail(f"no such dead letter: {letter}")
    for result in results:
        typer.echo(encode(result).decode())
    if not all(result.retried for result in results):
        raise typer.Exit(1)


@app.command("dead-letters-discard")
def discard_dead_letter(
    database_url: DatabaseUrl,
    letter: Annotated[str, typer.Option("--id", help="The dead letter, e.g. notifier:3.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it stays with the letter.")],
) -> None:
    """Put away a dead letter that can never succeed; it stays listed, with who did it and why."""
    from chassis.dead_letters import DiscardedLetter
    from chassis.postgres import DATABASE_ERRORS
    from contracts.codec import encode

    from notifier.letters import discard_letter

    number = parse_letter_id(letter)
    if not reason.strip() or not is_clean_text(reason, MAX_REASON_LENGTH):
        raise fail(f"REASON: at most {MAX_REASON_LENGTH} characters of valid text, not blank")
    try:
        done = asyncio.run(discard_letter(database_url, number, reason))
    except DATABASE_ERRORS as error:
        raise fail(f"database: {type(error).__name__}") from None
    if not done:
        raise fail(f"no dead letter {letter} waits")
    typer.echo(encode(DiscardedLetter(letter)).decode())


@app.command("export")
def export(database_url: DatabaseUrl, account: Account) -> None:
    """All that is kept about the account's mails, as JSON lines, oldest first."""
    from chassis.postgres import DATABASE_ERRORS

    from notifier.people import load_mails

    try:
        for line in asyncio.run(load_mails(database_url, account)):
            typer.echo(line)
    except DATABASE_ERRORS as error:
        raise fail(f"database: {type(error).__name__}") from None


@app.command("forget")
def forget(
    database_url: DatabaseUrl,
    account: Account,
    reason: Annotated[str | None, typer.Option("--reason", help="Kept in the ledger's audit.")] = None,  # noqa: ARG001  not ours
) -> None:
    """Erase what is kept about the account's mails, those that wait too; prints how many."""
    from chassis.postgres import DATABASE_ERRORS

    from notifier.people import erase_mails

    try:
        typer.echo(asyncio.run(erase_mails(database_url, account)))
    except DATABASE_ERRORS as error:
        raise fail(f"database: {type(error).__name__}") from None


def main() -> None:
    """Run one command; an output that takes nothing, a full disk for instance, is named in one line."""
    try:
        app()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(f"error: standard output: {error.strerror}")


if __name__ == "__main__":
    main()
