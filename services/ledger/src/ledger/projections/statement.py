"""The statement: every movement of every account with what it was made of, and how the account stood after it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import asyncpg
from contracts.events.accounts import AccountOpened, CycleCorrected, CycleStarted, LimitChanged, PlanChanged
from contracts.events.credits import CreditsExpired, CreditsGranted, CreditsRestored, CreditsRevoked
from contracts.events.rates import Rates
from contracts.events.registry import LEDGER_EVENTS, LedgerEvent
from contracts.events.reservations import ReservationExpired, ReservationReleased, TokensReserved, UsageSettled

from ledger.domain.account import STATE_FORMAT, Account
from ledger.domain.evolve import evolve
from ledger.domain.holds import may_be_corrected
from ledger.projections.known_accounts import KnownAccounts
from ledger.projections.movements import account_movement, expired_movement, settled_movement
from ledger.projections.people import person_of
from ledger.projections.projection import BrokenLogError, Projection
from ledger.store.projected.people_tables import PEOPLE_SHAPES, write_people
from ledger.store.projected.statement_rows import Charged, KnownAccount, Movement, Terms
from ledger.store.projected.statement_tables import SHAPES, load_accounts, load_charged, write_statement
from ledger.store.projected.tracks import PageEvent, Track
from ledger.store.projected.usage_rows import ReservationKey

type Events = Sequence[PageEvent[LedgerEvent]]


def corrected_reservations(events: Iterable[PageEvent[LedgerEvent]]) -> list[ReservationKey]:
    """Of which calls it must be known how they were charged before, to tell these events."""
    return [
        ReservationKey(each.account_id, each.fact.data.reservation_id)
        for each in events
        if type(each.fact.data) is UsageSettled and each.fact.data.corrects_billable_tokens is not None
    ]


def tell_movements(
    events: Iterable[PageEvent[LedgerEvent]],
    accounts: dict[str, KnownAccount],
    charged: Mapping[ReservationKey, Charged],
) -> list[Movement]:
    """What these events moved; `accounts` are brought to their ends, those that are not there are opened.

    `charged` are what the `corrected_reservations` at least were charged before, but for those of these very events.

    Raises:
        BrokenLogError: an event of an account is missing, or usage corrects what was never charged.
    """
    teller = _Teller(accounts, charged)
    for each in events:
        teller.tell(each)
    return teller.movements


class _Teller:
    """Tells one page."""

    def __init__(self, accounts: dict[str, KnownAccount], charged: Mapping[ReservationKey, Charged]) -> None:
        self.movements: list[Movement] = []
        self._accounts = accounts
        self._charged = dict(charged)

    def tell(self, each: PageEvent[LedgerEvent]) -> None:
        known = self._accounts.get(each.account_id)
        if known is None:
            known = self._accounts[each.account_id] = KnownAccount(Account(account_id=each.account_id), {})
        before, event = known.account, each.fact.data
        if each.version != before.version + 1:
            raise BrokenLogError(
                f"of account {each.account_id} event {before.version + 1} is missing before {each.version},"
                " or is of a type that only a newer ledger knows"
            )
        after = known.account = evolve(before, event, each.fact.time)
        match event:
            case TokensReserved():
                known.terms[event.reservation_id] = _terms(event.rates, each.position)
                known.last_call_at = each.fact.time
            case UsageSettled():
                self._tell_settled(each, event, known, after)
            case ReservationReleased():
                known.terms.pop(event.reservation_id, None)
            case ReservationExpired():
                terms = known.terms.pop(event.reservation_id, None)
                self._charged[ReservationKey(each.account_id, event.reservation_id)] = Charged(each.position, terms)
                self.movements.append(expired_movement(each, event, after, terms))
            case (
                AccountOpened()
                | PlanChanged()
                | LimitChanged()
                | CycleStarted()
                | CycleCorrected()
                | CreditsGranted()
                | CreditsRevoked()
                | CreditsRestored()
                | CreditsExpired()
            ):
                self.movements.append(account_movement(each, event, before, after))
            case _:
                pass  # people are told something, or what is checked has changed: no token moves

    def _tell_settled(
        self, each: PageEvent[LedgerEvent], event: UsageSettled, known: KnownAccount, after: Account
    ) -> None:
        corrected = None
        if event.corrects_billable_tokens is not None:
            corrected = self._charged.get(ReservationKey(each.account_id, event.reservation_id))
            if corrected is None:
                raise BrokenLogError(f"usage of {event.reservation_id} corrects a charge that the log does not have")
            terms = corrected.terms
        else:
            terms = known.terms.pop(event.reservation_id, None)
            if event.unreserved:
                known.last_call_at = each.fact.time
            if terms is None and event.unreserved_rates is not None:
                terms = _terms(event.unreserved_rates, None)
        if may_be_corrected(event):
            self._charged[ReservationKey(each.account_id, event.reservation_id)] = Charged(each.position, terms)
        self.movements.append(settled_movement(each, event, after, terms, corrected))


def _terms(rates: Rates, reserved_position: int | None) -> Terms:
    return Terms(
        reserved_position,
        rates.prompt_weight_millionths,
        rates.cached_prompt_weight_millionths,
        rates.cache_write_weight_millionths,
        rates.completion_weight_millionths,
    )


class Statement:
    """`projections.statement` and `projections.people`; beside them stand the accounts as of the same position.

    It reads all events, since all of them make an account what it is: one of a type that is not known here holds it up.
    """

    name: Final = "statement"
    # What folds differently is another projection.
    version: Final = 100 * STATE_FORMAT + 3
    reads: Final = frozenset(LEDGER_EVENTS.values())
    shapes: Final = (*SHAPES, *PEOPLE_SHAPES)

    def __init__(self) -> None:
        self._known = KnownAccounts()

    async def apply(self, connection: asyncpg.Connection, track: Track, events: Events) -> None:
        if not events:
            return
        known = self._known.take(track)
        account_ids = {each.account_id for each in events}
        accounts = {each: known.pop(each) for each in account_ids & known.keys()}
        if unknown := account_ids - accounts.keys():
            accounts |= await load_accounts(connection, track, sorted(unknown))
        corrected = corrected_reservations(events)
        charged = await load_charged(connection, track, corrected) if corrected else {}
        movements = tell_movements(events, accounts, charged)
        await write_statement(connection, track, movements, accounts)
        await write_people(connection, track, map(person_of, accounts.values()))
        self._known.keep(track, events[-1].position, known | accounts)


STATEMENT: Final[Projection] = Statement()
