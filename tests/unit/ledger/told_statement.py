"""A statement as its tables have it, and what holds of each of its lines."""

from collections.abc import Sequence
from math import ceil

from contracts.codec import encode
from contracts.events.registry import LedgerEvent
from contracts.usage import UsageSource
from ledger.domain.account import Account
from ledger.projections.statement import corrected_reservations, tell_movements
from ledger.store.projected.statement_rows import Charged, Kind, KnownAccount, Movement, Terms
from ledger.store.projected.tracks import PageEvent
from ledger.store.projected.usage_rows import ReservationKey
from msgspec import json

from tests.unit.ledger.story import ACCOUNT_ID

_ANEW = (Kind.CYCLE, Kind.CYCLE_CORRECTION)
"""What was used begins anew with them."""


class ToldStatement:
    """Page after page; between them accounts are what is stored of them.

    Each line explains what it moved, from the line before it to its own balances, and its tokens by their weights.
    """

    def __init__(self) -> None:
        self.movements: list[Movement] = []
        self.running_cycle = ""
        self.stored: dict[str, bytes] = {}

    def take(self, page: Sequence[PageEvent[LedgerEvent]]) -> None:
        accounts = {each: self.known(each) for each in self.stored}
        wanted = set(corrected_reservations(page))
        told = tell_movements(page, accounts, {key: each for key, each in self._charged().items() if key in wanted})
        for line in told:
            self._check(line)
            self.movements.append(line)
        self.stored |= {each: encode(known) for each, known in accounts.items()}

    def account(self, account_id: str = ACCOUNT_ID) -> Account:
        return self.known(account_id).account

    def known(self, account_id: str) -> KnownAccount:
        return json.decode(self.stored[account_id], type=KnownAccount)

    def _check(self, line: Movement) -> None:
        assert line.tokens == -(line.from_allowance + line.from_credits + line.to_debt + line.to_unowed)
        assert sum(json.decode(line.lots or "{}").values()) == -line.from_credits
        _check_call(line)
        if not line.reservation_id:
            self.running_cycle = line.cycle_id
        if not self.movements:
            return
        before = self.movements[-1]
        assert before.credits - line.credits == line.from_credits
        assert line.debt - before.debt == line.to_debt
        assert line.unowed - before.unowed == line.to_unowed
        if line.kind not in _ANEW and line.cycle_id == self.running_cycle:
            assert line.monthly_used - before.monthly_used == line.from_allowance

    def _charged(self) -> dict[ReservationKey, Charged]:
        return {
            ReservationKey(each.account_id, each.reservation_id or ""): Charged(each.position, _terms(each))
            for each in self.movements
            if each.kind == Kind.UNSETTLED or each.usage_source == UsageSource.ESTIMATED
        }


def _terms(movement: Movement) -> Terms:
    return Terms(movement.reserved_position, *_weights(movement))


def _weights(movement: Movement) -> list[int]:
    weights = (
        movement.prompt_weight_millionths,
        movement.cached_prompt_weight_millionths,
        movement.cache_write_weight_millionths,
        movement.completion_weight_millionths,
    )
    return [weight for weight in weights if weight is not None]


def _check_call(line: Movement) -> None:
    if line.kind in (Kind.CALL, Kind.CORRECTION):
        assert line.prompt_tokens is not None
        cached, written = line.cached_prompt_tokens or 0, line.cache_write_tokens or 0
        classes = (line.prompt_tokens - cached - written, cached, written, line.completion_tokens or 0)
        weighed = sum(tokens * weight for tokens, weight in zip(classes, _weights(line), strict=True))
        assert line.billable_tokens in {ceil(weighed / 10**6), 0}
    if line.kind in (Kind.CALL, Kind.UNSETTLED):
        assert line.billable_tokens == -line.tokens
    if line.kind == Kind.CORRECTION:
        assert (line.billable_tokens or 0) - (line.corrects_tokens or 0) == -line.tokens - (line.lapsed or 0)
        assert line.corrects_position is not None
        assert line.corrects_position < line.position


def standing(line: Movement) -> tuple[int, int, int, int, int]:
    return line.monthly_used, line.monthly_limit, line.credits, line.debt, line.unowed
