"""What is explained of a call, as a person reads it."""

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from contracts.events.rates import Rates

from ledger.application.explaining import Explained, HoldMade, Share, Step
from ledger.operate.statement_text import taken_text
from ledger.store.projected.statement_rows import Kind

_INDENT = " " * 12
_MILLION = 1_000_000


def explained_text(explained: Explained, zone: ZoneInfo) -> str:
    """One call: its hold and rates, then each movement with its arithmetic."""
    lines = [
        f"{explained.reservation_id} of {explained.account_id}: {explained.state or 'its hold is not kept any more'}",
        f"{'call':<12}{explained.model} {explained.endpoint}, cycle {explained.cycle_id}".rstrip(),
        f"{'hold':<12}{_hold(explained.hold, zone)}",
        f"{'rates':<12}{_rates(explained.rates)}; catalog {explained.catalog_version or 'not known'}",
    ]
    for step in explained.steps:
        lines += _step(step, zone)
    if not explained.steps:
        lines.append(f"{'charged':<12}nothing")
    return "".join(f"{_printable(line)}\n" for line in lines)


def _hold(hold: HoldMade | None, zone: ZoneInfo) -> str:
    if hold is None:
        return "none: it was forwarded without one, or is not kept any more"
    made = f"{hold.tokens:,} billable tokens at {_local(hold.at, zone)}"
    if hold.position is not None:
        made += f" (position {hold.position})"
    if hold.estimated_prompt_tokens is None:
        return made
    choices = "" if hold.choices == 1 else f" x {hold.choices}"
    return f"{made}: {hold.estimated_prompt_tokens:,} estimated for the prompt, {hold.output_tokens:,}{choices} output"


def _rates(rates: Rates | None) -> str:
    if rates is None:
        return "not known"
    weights = (
        ("prompt", rates.prompt_weight_millionths, rates.prompt_price_micros),
        ("cached", rates.cached_prompt_weight_millionths, rates.cached_prompt_price_micros),
        ("cache write", rates.cache_write_weight_millionths, rates.cache_write_price_micros),
        ("completion", rates.completion_weight_millionths, rates.completion_price_micros),
    )
    return ", ".join(
        f"{name} x {_decimal(weight)}{f' ({_decimal(micros)} USD a million)' if rates.has_price else ''}"
        for name, weight, micros in weights
    )


def _step(step: Step, zone: ZoneInfo) -> list[str]:
    movement = step.movement
    lines = [f"{movement.kind:<12}at {_local(movement.recorded_at, zone)} (position {movement.position})"]
    if (ending := step.ending) is not None:
        lines.append(
            f"{_INDENT}began {_local(ending.started_at, zone)}, took {ending.duration_ms:,} ms; {ending.outcome},"
            f" status {ending.status}; figures: {movement.usage_source}"
        )
    if movement.corrects_position is not None:
        lines.append(f"{_INDENT}corrects the {movement.corrects_tokens:,} of position {movement.corrects_position}")
    lines += [_share(share) for share in step.shares if share.tokens]
    if step.sum_millionths is not None:
        cost = f"; cost {_decimal(movement.cost_usd_micros or 0)} USD"
        lines.append(
            f"{_INDENT}{_decimal(step.sum_millionths)} in all, rounded up once: {movement.billable_tokens:,}{cost}"
            if movement.billable_tokens or not step.sum_millionths
            else f"{_INDENT}{_decimal(step.sum_millionths)} in all, of an end that costs nothing: 0"
        )
    elif movement.kind == Kind.UNSETTLED:
        lines.append(f"{_INDENT}no usage came: the whole hold was charged")
    taken = taken_text(movement) or f"{movement.from_allowance:,} of allowance"
    return [*lines, f"{_INDENT}taken: {taken}"]


def _share(share: Share) -> str:
    name = share.token_class.replace("_", " ")
    if share.billable_millionths is None or share.weight_millionths is None:
        return f"{_INDENT}{share.tokens:>14,} {name:<14} x ?"
    weighed = f"{_INDENT}{share.tokens:>14,} {name:<14} x {_decimal(share.weight_millionths):<8}"
    cost = "" if share.price_micros is None else f"   {_decimal_usd(share.tokens * share.price_micros)} USD"
    return f"{weighed} = {_decimal(share.billable_millionths):>16}{cost}".rstrip()


def _decimal(millionths: int) -> str:
    return f"{Decimal(millionths) / _MILLION:,f}"


def _decimal_usd(millionths_of_micros: int) -> str:
    return f"{Decimal(millionths_of_micros) / _MILLION**2:f}"


def _local(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _printable(text: str) -> str:
    """What somebody typed moves no cursor of a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
