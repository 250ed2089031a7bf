"""A statement as a person reads it: a line for each movement, and beneath it why; 100 columns wide."""

from datetime import datetime
from decimal import Decimal
from textwrap import wrap
from typing import Final

from contracts.balance import Balance
from msgspec import json

from ledger.store.projected.statement_rows import Kind, Movement

WIDTH: Final = 100
_INDENT: Final = " " * 18
_COLUMNS: Final = (("tokens", 12), ("left", 12), ("credits", 11), ("debt", 9))
MILLION: Final = 1_000_000


def header_text() -> str:
    return _line("time", "what", "of", *(name for name, _ in _COLUMNS))


def opening_text(at: datetime, before: Movement | None) -> str:
    """How the account stood before the first line; it was not there yet where there is no line before."""
    if before is None:
        return ""
    return _line(f"{at:%Y-%m-%d %H:%M}", "before", "", "", *_balances(before))


def line_text(movement: Movement) -> str:
    """The movement's own time zone is that of the text."""
    of = {
        Kind.PLAN: movement.plan,
        Kind.OPENED: movement.plan,
        Kind.LIMIT: f"{movement.monthly_limit:,}",
        Kind.CYCLE: movement.cycle_id,
        Kind.CYCLE_CORRECTION: movement.cycle_id,
    }.get(Kind(movement.kind), movement.model or movement.lot_id)
    what = movement.kind.replace("_", " ")
    first = _line(
        f"{movement.recorded_at:%Y-%m-%d %H:%M}",
        what,
        of or "",
        f"{movement.tokens:+,}" if movement.tokens else "",
        *_balances(movement),
    )
    why = _printable("; ".join(_reasons(movement)))
    return first + "".join(f"{part}\n" for part in wrap(why, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT))


def balance_text(balance: Balance) -> str:
    """The balance as the next call finds it."""
    return (
        f"\nnow: {balance.available:,} available = {balance.monthly_remaining:,} left of {balance.monthly_limit:,}"
        f" + {balance.credits:,} credits - {balance.held:,} held - {balance.debt:,} debt\n"
    )


def arithmetic(movement: Movement) -> str | None:
    """`1,000 prompt x 0.5 + 20 cached x 0.05 = 501`; None where the classes are not known."""
    if movement.prompt_tokens is None:
        return None
    cached, written = movement.cached_prompt_tokens or 0, movement.cache_write_tokens or 0
    classes = (
        ("prompt", movement.prompt_tokens - cached - written, movement.prompt_weight_millionths),
        ("cached", cached, movement.cached_prompt_weight_millionths),
        ("cache write", written, movement.cache_write_weight_millionths),
        ("completion", movement.completion_tokens or 0, movement.completion_weight_millionths),
    )
    parts = [f"{tokens:,} {name}{_weight(weight)}" for name, tokens, weight in classes if tokens]
    return f"{' + '.join(parts) or 'no tokens'} = {movement.billable_tokens:,}"


def taken_text(movement: Movement) -> str | None:
    """Where the tokens were taken, or went; None where all of it is the allowance's, or nothing moved."""
    gained: dict[str, int] = json.decode(movement.lots) if movement.lots else {}
    if movement.kind not in (Kind.CALL, Kind.UNSETTLED, Kind.CORRECTION):
        return f"{-movement.to_debt:,} repay debt" if movement.to_debt < 0 else _owed(movement)
    if not (gained or movement.to_debt or movement.to_unowed or movement.lapsed):
        return None
    parts = [
        _moved(movement.from_allowance, "allowance"),
        *(_moved(-tokens, lot_id) for lot_id, tokens in gained.items()),
        _owed(movement),
        f"{movement.to_unowed:,} unowed" if movement.to_unowed else None,
        f"{movement.lapsed:,} lapsed" if movement.lapsed else None,
    ]
    return ", ".join(part for part in parts if part)


def _reasons(movement: Movement) -> list[str]:
    reasons = [
        f"corrects the {movement.corrects_tokens:,} of position {movement.corrects_position}"
        if movement.corrects_position is not None
        else None,
        "no usage came: charged by its hold" if movement.kind == Kind.UNSETTLED else arithmetic(movement),
        "counted by us" if movement.usage_source == "estimated" else None,
        taken_text(movement),
        f"limit {movement.monthly_limit:,}" if movement.kind in (Kind.OPENED, Kind.PLAN) else None,
        movement.reference,
        f"by {movement.actor}" if movement.actor else None,
        movement.reservation_id,
    ]
    return [reason for reason in reasons if reason]


def _moved(taken: int, where: str) -> str | None:
    if not taken:
        return None
    return f"{taken:,} of {where}" if taken > 0 else f"{-taken:,} back to {where}"


def _owed(movement: Movement) -> str | None:
    if not movement.to_debt:
        return None
    return f"{movement.to_debt:,} owed" if movement.to_debt > 0 else f"{-movement.to_debt:,} owed no more"


def _weight(millionths: int | None) -> str:
    if millionths is None:
        return " x ?"
    return "" if millionths == MILLION else f" x {Decimal(millionths) / MILLION:f}"


def _balances(movement: Movement) -> tuple[str, str, str]:
    left = max(0, movement.monthly_limit - movement.monthly_used)
    return f"{left:,}", f"{movement.credits:,}", f"{movement.debt:,}"


def _line(time: str, what: str, of: str, *figures: str) -> str:
    widths = [width for _, width in _COLUMNS]
    right = "".join(figure.rjust(width) for figure, width in zip(figures, widths, strict=True))
    room = WIDTH - 18 - 12 - len(right)
    return f"{time:<16}  {what:<11} {_shortened(_printable(of), room - 1)} {right}".rstrip() + "\n"


def _shortened(text: str, width: int) -> str:
    return (text if len(text) <= width else f"{text[: width - 1]}…").ljust(width)


def _printable(text: str) -> str:
    """What somebody typed moves no cursor of a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
