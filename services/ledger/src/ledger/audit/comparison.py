"""Compares folded accounts with the rows that the live path keeps; no I/O."""

from collections.abc import Iterable, Iterator, Mapping

from contracts.codec import encode
from msgspec import Struct
from msgspec.structs import replace

from ledger.audit.folding import Folded
from ledger.domain.account import STATE_FORMAT, Account
from ledger.domain.holds import Hold, HoldState
from ledger.domain.lots import LotRecord
from ledger.store.codec import GENESIS, decode_account, decode_hold, decode_lot, format_of
from ledger.store.projections import AccountRow, HoldRow


def is_placeholder(row: AccountRow) -> bool:
    """A row that was made for an account whose first command was refused; it says nothing."""
    return row.version == 0 and row.state is None and row.head == GENESIS


def account_difference(folded: Folded, row: AccountRow | None) -> str | None:
    """What distinguishes the row from the fold, None if nothing does."""
    if row is None or is_placeholder(row):
        return "the account has events but no state"
    if row.version != folded.version:
        return f"the state is of version {row.version}, the last event of version {folded.version}"
    if row.head != folded.head:
        return "the head is not the last event's hash"
    difference = state_difference(folded.account, row.state)
    if difference is None and not _is_earlier(row.state) and row.due_at != folded.account.due_at:
        return "the due time is not the state's"
    return difference


def lots_difference(lots: Mapping[str, LotRecord], rows: Mapping[str, str]) -> str | None:
    """What distinguishes the stored records of an account's lots from the fold, None if nothing does."""
    for lot_id, lot in lots.items():
        if lot_id not in rows:
            return f"lot {lot_id} has no record"
        try:
            decoded = decode_lot(rows[lot_id])
        except Exception as error:  # whatever stands there is told, and ends nothing
            return f"the record of lot {lot_id} can't be decoded: {error}"
        if fields := _differing_fields(decoded, lot):
            return f"lot {lot_id} differs from the fold in {fields}"
    surplus = sorted(rows.keys() - lots.keys())
    return f"lot {surplus[0]} stands in no event" if surplus else None


def is_tail_missing(folded: Folded, row: AccountRow | None) -> bool:
    """Whether the row is of a later event than the log has: then the log lost its end, and the row is the evidence.

    A row of which only the version column was damaged still has the last event's hash, or the folded state.
    """
    if row is None or row.version <= folded.version or row.head == folded.head:
        return False
    state = _decoded_state(row.state)
    return state is None or state.version > folded.version


def hold_difference(hold: Hold, row: HoldRow | None) -> str | None:
    """What distinguishes a hold's row from its fold, None if nothing does."""
    if row is None:
        return "the hold is missing"
    if (row.state, row.reserved_at, row.expires_at) != (hold.state.value, hold.reserved_at, hold.expires_at):
        return "the hold's columns differ from the fold"
    if row.record == encode(hold).decode():
        return None
    try:
        decoded = decode_hold(row.record)
    except Exception as error:  # whatever stands there is told, and ends nothing
        return f"the hold can't be decoded: {error}"
    fields = _differing_fields(decoded, hold)
    return f"the hold differs from the fold in {fields}" if fields else None


def sum_problems(folded: Folded) -> Iterator[str]:
    """Sums that must hold for any account, whatever its history."""
    account = folded.account
    counted = {
        "monthly used": account.monthly_used,
        "debt": account.debt,
        "unowed": account.unowed,
        "held": account.held,
        **{f"lot {lot.id}": lot.tokens for lot in account.lots},
        **{f"closed cycle {closed.id}": closed.remaining for closed in account.closed_cycles},
    }
    for name, tokens in counted.items():
        if tokens < 0:
            yield f"{name} is negative: {tokens}"
    open_holds = [hold for hold in folded.unfinished.values() if hold.state is HoldState.OPEN]
    cycles = {closed.id: (closed.held, closed.open_holds) for closed in account.closed_cycles}
    if account.cycle is not None:
        cycles[account.cycle.id] = (account.held, account.open_holds)
    for cycle_id in sorted(cycles.keys() | {hold.cycle_id for hold in open_holds}):
        counted_holds = _held(hold for hold in open_holds if hold.cycle_id == cycle_id)
        if cycles.get(cycle_id, (0, 0)) != counted_holds:
            held, number = cycles.get(cycle_id, (0, 0))
            yield f"cycle {cycle_id} has {held} tokens held by {number} holds, its open holds are {counted_holds}"


def _held(holds: Iterable[Hold]) -> tuple[int, int]:
    tokens = [hold.tokens or 0 for hold in holds]
    return sum(tokens), len(tokens)


def state_difference(folded: Account, state: str | None) -> str | None:
    """What distinguishes a stored state from the folded account, None if nothing does."""
    if state == encode(folded).decode():
        return None
    try:
        decoded = decode_account(state or "")
    except Exception as error:  # whatever stands there is told, and ends nothing
        return f"the state can't be decoded: {error}"
    folded = _as_told_by(format_of(state or ""), folded)
    fields = _differing_fields(decoded, folded)
    return f"the state differs from the fold in {fields}" if fields else None


def _differing_fields(stored: Struct, folded: Struct) -> str:
    return ", ".join(name for name in folded.__struct_fields__ if getattr(stored, name) != getattr(folded, name))


def _is_earlier(state: str | None) -> bool:
    """Whether a state that can be decoded is of an earlier format."""
    return format_of(state or "") < STATE_FORMAT


def _as_told_by(state_format: int, folded: Account) -> Account:
    """The fold without what an earlier format did not have: such a state is folded anew when it is next decided on."""
    if state_format < 3:
        folded = replace(folded, subscriptions=(), forgotten_until=None)
    if state_format < 2:
        folded = replace(folded, plan_tokens=0, lots=tuple(replace(lot, ordinal=0) for lot in folded.lots))
    return folded


def _decoded_state(state: str | None) -> Account | None:
    try:
        return None if state is None else decode_account(state)
    except Exception:  # what can't be decoded is no evidence of anything
        return None
