"""The operator's verbs: values come as options, never from the environment, and an empty one is refused.

Each verb imports what it needs when it runs: a balance must not wait for NATS to be imported.
"""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any

import typer
from contracts.errors import InvalidError

from ledger.operate.output import abandon

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _filled(parameter: typer.CallbackParam, value: str | None) -> str | None:
    """An empty value is one that somebody failed to give; it must not mean all plans, or no key."""
    if value is not None and not value.strip():
        raise InvalidError(f"{parameter.opts[0].removeprefix('--').upper()}: not blank")
    return value


def _option(*names: str, help: str) -> Any:  # noqa: A002  as Typer calls it, and Any as Typer declares it
    return typer.Option(*names, help=help, callback=_filled)


Account = Annotated[str | None, _option("--account", help="account id")]
Tokens = Annotated[str | None, _option("--tokens", help="billable tokens")]
Reason = Annotated[str | None, _option("--reason", help="kept in the audit, never in an event")]
Key = Annotated[str | None, _option("--key", help="idempotency key")]
At = Annotated[str | None, _option("--at", help="ISO 8601 date or time")]
First = Annotated[str | None, _option("--from", help="first position")]
Last = Annotated[str | None, _option("--to", help="last position")]
Plan = Annotated[str | None, _option("--plan", "--name", help="name of a plan")]
ProjectionName = Annotated[str | None, _option("--projection", help="accounts, holds or all")]
KeptCheckpoint = Annotated[str | None, _option("--checkpoint", help="what an earlier verify printed as checkpoint")]
Lot = Annotated[str | None, _option("--lot", help="id of a grant of credits")]
Who = Annotated[str | None, _option("--who", help="account id, or part of a name, an e-mail or a client's own id")]
New = Annotated[str | None, _option("--new", help="1 opens an account that does not exist yet")]
Show = Annotated[str | None, _option("--show", help="1 shows what would be done, and does nothing")]
Custom = Annotated[str | None, _option("--custom", help="1 changes limits of an account's own too")]
LetterId = Annotated[str | None, _option("--id", help="ledger:<number>")]


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
def credit(
    account: Account = None, tokens: Tokens = None, reason: Reason = None, key: Key = None, new: New = None
) -> int | None:
    """Grants credits."""
    from ledger.operate import verbs_administer  # noqa: PLC0415

    return _run(verbs_administer.credit(account, tokens, reason, key, new))


@app.command()
def revoke(
    account: Account = None, lot: Lot = None, tokens: Tokens = None, reason: Reason = None, key: Key = None
) -> int | None:
    """Takes back tokens of one grant; what is spent already becomes debt."""
    from ledger.operate import verbs_administer  # noqa: PLC0415

    return _run(verbs_administer.revoke(account, lot, tokens, reason, key))


@app.command()
def lots(account: Account = None) -> int | None:
    """The grants of credits of an account, oldest first."""
    from ledger.operate import verbs_read  # noqa: PLC0415

    return _run(verbs_read.lots(account))


@app.command()
def plan(
    account: Account = None, plan: Plan = None, reason: Reason = None, key: Key = None, new: New = None
) -> int | None:
    """Changes the plan."""
    from ledger.operate import verbs_administer  # noqa: PLC0415

    return _run(verbs_administer.plan(account, plan, reason, key, new))


@app.command()
def limit(
    account: Account = None, tokens: Tokens = None, reason: Reason = None, key: Key = None, new: New = None
) -> int | None:
    """Changes the monthly limit."""
    from ledger.operate import verbs_administer  # noqa: PLC0415

    return _run(verbs_administer.limit(account, tokens, reason, key, new))


@app.command()
def suspend(account: Account = None, reason: Reason = None, key: Key = None, new: New = None) -> int | None:
    """Suspends the account."""
    from ledger.operate import verbs_administer  # noqa: PLC0415

    return _run(verbs_administer.status("suspend", account, reason, key, new))


@app.command()
def activate(account: Account = None, reason: Reason = None, key: Key = None, new: New = None) -> int | None:
    """Makes the account active again."""
    from ledger.operate import verbs_administer  # noqa: PLC0415

    return _run(verbs_administer.status("activate", account, reason, key, new))


@app.command()
def block(account: Account = None, reason: Reason = None, key: Key = None, new: New = None) -> int | None:
    """Blocks the account."""
    from ledger.operate import verbs_administer  # noqa: PLC0415

    return _run(verbs_administer.status("block", account, reason, key, new))


@app.command("correct-cycle")
def correct_cycle(account: Account = None, reason: Reason = None) -> int | None:
    """Puts back the cycle that runs, where a clock that was wrong started a later one."""
    from ledger.operate import verbs_administer  # noqa: PLC0415

    return _run(verbs_administer.correct_cycle(account, reason))


@app.command("apply-catalog")
def apply_catalog(plan: Plan = None, reason: Reason = None, show: Show = None, custom: Custom = None) -> int | None:
    """Gives existing accounts what the catalog says of their plan now: shows whom it changes, then does it."""
    from ledger.operate import verbs_administer  # noqa: PLC0415

    return _run(verbs_administer.apply_catalog(plan, reason, show, custom))


@app.command()
def find(who: Who = None) -> int | None:
    """People by account id, or by a part of their name, e-mail or the id that the client has for them."""
    from ledger.operate import verbs_people  # noqa: PLC0415

    return _run(verbs_people.find(who))


@app.command()
def export(account: Account = None) -> int | None:
    """All that is kept about the person of an account, as JSON lines."""
    from ledger.operate import verbs_people  # noqa: PLC0415

    return _run(verbs_people.export(account))


@app.command()
def forget(account: Account = None, reason: Reason = None) -> int | None:
    """Erases the person's name, e-mail, language and client's id; the figures stay."""
    from ledger.operate import verbs_people  # noqa: PLC0415

    return _run(verbs_people.forget(account, reason))


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


@app.command("dead-letters-discard")
def dead_letters_discard(letter_id: LetterId = None, reason: Reason = None) -> int | None:
    """Puts away a dead letter that can never succeed; it stays listed, with who did it and why."""
    from ledger.operate import verbs_letters  # noqa: PLC0415

    return _run(verbs_letters.dead_letters_discard(letter_id, reason))


@app.command()
def seed() -> int | None:
    """Demo accounts with weeks of plausible usage; accounts that exist are left alone."""
    from ledger.operate import verbs_seed  # noqa: PLC0415

    return _run(verbs_seed.seed())
