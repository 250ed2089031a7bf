"""The operator's verbs: values come as options or as environment variables of the same names; empty is absent.

Each verb imports what it needs when it runs: a balance must not wait for NATS to be imported.
"""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any

import typer

from ledger.operate.output import abandon

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

Account = Annotated[str | None, typer.Option("--account", envvar="ACCOUNT", help="account id")]
Tokens = Annotated[str | None, typer.Option("--tokens", envvar="TOKENS", help="billable tokens")]
Reason = Annotated[str | None, typer.Option("--reason", envvar="REASON", help="kept in the audit, never in an event")]
Key = Annotated[str | None, typer.Option("--key", envvar="KEY", help="idempotency key")]
At = Annotated[str | None, typer.Option("--at", envvar="AT", help="ISO 8601 date or time")]
First = Annotated[str | None, typer.Option("--from", envvar="FROM", help="first position")]
Last = Annotated[str | None, typer.Option("--to", envvar="TO", help="last position")]
Plan = Annotated[str | None, typer.Option("--plan", "--name", envvar="PLAN", help="name of a plan")]
ProjectionName = Annotated[str | None, typer.Option("--projection", envvar="PROJECTION", help="accounts, holds or all")]
KeptCheckpoint = Annotated[
    str | None, typer.Option("--checkpoint", envvar="CHECKPOINT", help="what an earlier verify printed as checkpoint")
]
LetterId = Annotated[str | None, typer.Option("--id", envvar="ID", help="ledger:<number>")]


def _run(main: Coroutine[Any, Any, int | None]) -> int | None:
    try:
        return asyncio.run(main)
    except BrokenPipeError:
        # A reader that leaves early has what it wanted; Typer would call it a failure.
        abandon()
        return 0


@app.command()
def balance(account: Account = None, at: At = None) -> int | None:
    """The balance now, or as the events make it at a moment."""
    from ledger.operate import verbs_read  # noqa: PLC0415

    return _run(verbs_read.balance(account, at))


@app.command()
def events(account: Account = None, first: First = None, last: Last = None) -> int | None:
    """Stored events as JSON lines, in position order."""
    from ledger.operate import verbs_read  # noqa: PLC0415

    return _run(verbs_read.events(account, first, last))


@app.command()
def credit(account: Account = None, tokens: Tokens = None, reason: Reason = None, key: Key = None) -> int | None:
    """Grants credits."""
    from ledger.operate import verbs_administer  # noqa: PLC0415

    return _run(verbs_administer.credit(account, tokens, reason, key))


@app.command()
def plan(account: Account = None, plan: Plan = None, reason: Reason = None, key: Key = None) -> int | None:
    """Changes the plan."""
    from ledger.operate import verbs_administer  # noqa: PLC0415

    return _run(verbs_administer.plan(account, plan, reason, key))


@app.command()
def limit(account: Account = None, tokens: Tokens = None, reason: Reason = None, key: Key = None) -> int | None:
    """Changes the monthly limit."""
    from ledger.operate import verbs_administer  # noqa: PLC0415

    return _run(verbs_administer.limit(account, tokens, reason, key))


@app.command()
def suspend(account: Account = None, reason: Reason = None, key: Key = None) -> int | None:
    """Suspends the account."""
    from ledger.operate import verbs_administer  # noqa: PLC0415

    return _run(verbs_administer.status("suspend", account, reason, key))


@app.command()
def activate(account: Account = None, reason: Reason = None, key: Key = None) -> int | None:
    """Makes the account active again."""
    from ledger.operate import verbs_administer  # noqa: PLC0415

    return _run(verbs_administer.status("activate", account, reason, key))


@app.command()
def block(account: Account = None, reason: Reason = None, key: Key = None) -> int | None:
    """Blocks the account."""
    from ledger.operate import verbs_administer  # noqa: PLC0415

    return _run(verbs_administer.status("block", account, reason, key))


@app.command()
def verify(checkpoint: KeptCheckpoint = None) -> int | None:
    """Checks the whole log and what was made of it; exit 1 and the first bad event if anything is wrong."""
    from ledger.operate import verbs_log  # noqa: PLC0415

    return _run(verbs_log.verify(checkpoint))


@app.command()
def replay(projection: ProjectionName = None) -> int | None:
    """Rebuilds accounts and holds from the events, compares, repairs; exit 1 on any difference."""
    from ledger.operate import verbs_log  # noqa: PLC0415

    return _run(verbs_log.replay(projection))


@app.command()
def republish(first: First = None, last: Last = None) -> int | None:
    """Publishes stored events again, after making streams and consumers that are missing."""
    from ledger.operate import verbs_log  # noqa: PLC0415

    return _run(verbs_log.republish(first, last))


@app.command("dead-letters")
def dead_letters() -> int | None:
    """What the ledger's consumers gave up on, as JSON lines."""
    from ledger.operate import verbs_letters  # noqa: PLC0415

    return _run(verbs_letters.dead_letters())


@app.command("dead-letters-retry")
def dead_letters_retry(letter_id: LetterId = None) -> int | None:
    """Tries one dead letter again, or all that wait; exit 1 if one stays."""
    from ledger.operate import verbs_letters  # noqa: PLC0415

    return _run(verbs_letters.dead_letters_retry(letter_id))


@app.command()
def seed() -> int | None:
    """Demo accounts with weeks of plausible usage; accounts that exist are left alone."""
    from ledger.operate import verbs_seed  # noqa: PLC0415

    return _run(verbs_seed.seed())
