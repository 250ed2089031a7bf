"""How a call came to its tokens: what was held, by which rates, what it used, where it was taken."""

from collections.abc import AsyncGenerator
from datetime import datetime

import asyncpg
from contracts.errors import NotFoundError
from contracts.events.rates import Rates
from contracts.events.reservations import TokensReserved, UsageSettled
from contracts.usage import Outcome
from msgspec import Struct

from ledger.domain.holds import Hold, HoldState
from ledger.store.facts import Fact, decode_fact
from ledger.store.log import EPOCH, rows_between
from ledger.store.projected.statement_report import load_movements_of
from ledger.store.projected.statement_rows import Movement
from ledger.store.read_path import load_holds_of
from ledger.store.requests.people import find_requests


class HoldMade(Struct, frozen=True, kw_only=True):
    """The worst case that was set aside: the estimate's tokens and the granted output's, by their weights.

    `estimated_prompt_tokens`, `output_tokens` of one choice and `choices` are None where the event is not there.
    """

    position: int | None
    at: datetime
    tokens: int
    expires_at: datetime | None
    estimated_prompt_tokens: int | None = None
    output_tokens: int | None = None
    choices: int | None = None


class Share(Struct, frozen=True):
    """What one class of tokens adds: `tokens` x weight, and x price per million where that is known."""

    token_class: str
    tokens: int
    weight_millionths: int | None
    billable_millionths: int | None
    price_micros: int | None


class Ending(Struct, frozen=True):
    """How the gateway saw the call."""

    outcome: Outcome
    status: int
    started_at: datetime
    duration_ms: int


class Step(Struct, frozen=True, kw_only=True):
    """A movement of the call, with its arithmetic; how the call ended is None where its event is not there."""

    movement: Movement
    shares: tuple[Share, ...]
    sum_millionths: int | None
    ending: Ending | None


class Explained(Struct, frozen=True, kw_only=True):
    """One reservation; `state` is its hold's, None where only the statement remembers it."""

    reservation_id: str
    account_id: str
    state: str | None
    model: str
    endpoint: str
    cycle_id: str
    catalog_version: str
    hold: HoldMade | None
    rates: Rates | None
    steps: tuple[Step, ...]


class _Sources(Struct, frozen=True):
    """What there still is of a reservation: its movements, its record, the event of its hold, those of its usage."""

    movements: list[Movement]
    record: Hold | None
    reserved: Fact[TokensReserved] | None
    settled: dict[int, UsageSettled]


async def explain(connection: asyncpg.Connection, any_id: str, account_id: str | None) -> AsyncGenerator[Explained]:
    """The calls, of one account or of any, that a reservation's id, a conversation's or the client's own id means.

    Conversations and clients' ids are known as long as the request log is kept: its first `MAX_NAMED` calls of them are
    told. What it does not know is looked for in the statement, then among the holds.

    Raises:
        NotFoundError: there is none, or each of them was refused before anything was held for it.
    """
    named = [each for each in await find_requests(connection, any_id) if account_id in (None, each.account_id)]
    is_found = False
    for each in named:
        for explained in await _of_reservation(connection, each.request_id, each.account_id):
            is_found = True
            yield explained
    if named and not is_found:
        raise NotFoundError(f"nothing was held for {any_id}: make requests ID= tells how it ended")
    if not named:
        of = "" if account_id is None else f" of account {account_id}"
        found = await _of_reservation(connection, any_id, account_id)
        if not found:
            raise NotFoundError(f"no call {any_id}{of}")
        for explained in found:
            yield explained


async def _of_reservation(
    connection: asyncpg.Connection, reservation_id: str, account_id: str | None
) -> list[Explained]:
    movements: dict[str, list[Movement]] = {}
    for movement in await load_movements_of(connection, reservation_id, account_id):
        movements.setdefault(movement.account_id, []).append(movement)
    accounts = [account_id] if account_id is not None else [*movements] or None
    records = await load_holds_of(connection, reservation_id, accounts)
    explained = []
    for each in sorted({*movements, *records}):
        sources = await _sources(connection, movements.get(each, []), records.get(each))
        explained.append(_explained(reservation_id, each, sources))
    return explained


async def _sources(connection: asyncpg.Connection, movements: list[Movement], record: Hold | None) -> _Sources:
    """Events that are not in the database any more are left out."""
    reserved: Fact[TokensReserved] | None = None
    settled: dict[int, UsageSettled] = {}
    positions = {each.position for each in movements} | {each.reserved_position for each in movements}
    for position in sorted(each for each in positions if each is not None):
        async for rows in rows_between(connection, position, position):
            for row in rows:
                fact = decode_fact(row[4], row[6])
                match fact.data:
                    case TokensReserved() as event:
                        reserved = Fact(fact.time, event)
                    case UsageSettled() as event:
                        settled[position] = event
                    case _:
                        pass  # that a hold was charged is all in its movement
    return _Sources(movements, record, reserved, settled)


def _explained(reservation_id: str, account_id: str, sources: _Sources) -> Explained:
    # Without one, its words are empty.
    record = sources.record or Hold(reservation_id=reservation_id, state=HoldState.OPEN, reserved_at=EPOCH)
    usage = next(iter(sources.settled.values()), None)
    rates = _rates(sources)
    named = next((each for each in sources.movements), None)
    return Explained(
        reservation_id=reservation_id,
        account_id=account_id,
        state=None if sources.record is None else sources.record.state.value,
        model=(named and named.model) or record.model,
        endpoint=usage.endpoint if usage is not None else record.endpoint,
        cycle_id=named.cycle_id if named is not None else record.cycle_id,
        catalog_version=usage.catalog_version if usage is not None else record.catalog_version,
        hold=_hold_made(sources),
        rates=rates,
        steps=tuple(_step(each, rates, sources.settled.get(each.position)) for each in sources.movements),
    )


def _rates(sources: _Sources) -> Rates | None:
    if sources.reserved is not None:
        return sources.reserved.data.rates
    if sources.record is not None and sources.record.tokens is not None:
        return sources.record.rates
    return next((each.unreserved_rates for each in sources.settled.values()), None)


def _hold_made(sources: _Sources) -> HoldMade | None:
    position = next((each.reserved_position for each in sources.movements), None)
    if sources.reserved is not None:
        event = sources.reserved.data
        return HoldMade(
            position=position,
            at=sources.reserved.time,
            tokens=event.tokens,
            expires_at=event.expires_at,
            estimated_prompt_tokens=event.prompt_tokens,
            output_tokens=event.output_tokens,
            choices=event.choices,
        )
    record = sources.record
    if record is None or record.tokens is None:
        return None
    return HoldMade(position=position, at=record.reserved_at, tokens=record.tokens, expires_at=record.expires_at)


def _step(movement: Movement, rates: Rates | None, usage: UsageSettled | None) -> Step:
    shares = _shares(movement, rates)
    known = [each.billable_millionths for each in shares if each.billable_millionths is not None]
    return Step(
        movement=movement,
        shares=shares,
        sum_millionths=sum(known) if shares and len(known) == len(shares) else None,
        ending=None if usage is None else Ending(usage.outcome, usage.status, usage.started_at, usage.duration_ms),
    )


def _shares(movement: Movement, rates: Rates | None) -> tuple[Share, ...]:
    """By the weights that the movement was charged by; none where no usage is known."""
    if movement.prompt_tokens is None:
        return ()
    cached, written = movement.cached_prompt_tokens or 0, movement.cache_write_tokens or 0
    # As it is weighed: parts that exceed the whole never make it negative.
    prompt = max(0, movement.prompt_tokens - cached - written)
    classes = (
        ("prompt", prompt, movement.prompt_weight_millionths),
        ("cached_prompt", cached, movement.cached_prompt_weight_millionths),
        ("cache_write", written, movement.cache_write_weight_millionths),
        ("completion", movement.completion_tokens or 0, movement.completion_weight_millionths),
    )
    return tuple(
        Share(
            name,
            tokens,
            weight,
            None if weight is None else tokens * weight,
            None if rates is None or not rates.has_price else getattr(rates, f"{name}_price_micros"),
        )
        for name, tokens, weight in classes
    )
