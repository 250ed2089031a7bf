"""The Python library `eventsourcing` on the same fold: the same events of the same accounts, rebuilt by its repository.

Two of its own idioms, each with its recorder in memory, so that no database is measured: an aggregate with `@event`
methods and the JSON transcoder, as its tutorial has it; and its functional style with msgspec structs, its fastest.
What the states agree on is compared with ours.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from contracts.events.accounts import AccountOpened
from contracts.events.registry import LedgerEvent
from contracts.events.reservations import TokensReserved, UsageSettled
from eventsourcing.application import Repository
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import DatetimeAsISO, EventStore, JSONTranscoder, Mapper, StoredEvent, UUIDAsHex
from eventsourcing.popo import POPOAggregateRecorder
from eventsourcing.utils import get_topic, resolve_topic
from ledger.domain.account import Account

type Decoded = Sequence[tuple[str, LedgerEvent, datetime]]
"""Account, event and time of each, in the order of the log."""
type Rebuild = Callable[[], "list[Stands]"]
type Fields = dict[str, Any]
"""An event's own fields as JSON has them."""


class Stands(NamedTuple):
    """What is compared of an account."""

    version: int
    monthly_used: int
    held: int
    open_holds: int

    @classmethod
    def of(cls, account: Account) -> "Stands":
        return cls(account.version, account.monthly_used, account.held, account.open_holds)


class PeerAccount(Aggregate):
    """As the library's tutorial writes it; moments in an event's fields stay text: nothing here reckons with them."""

    class Opened(Aggregate.Created):
        fields: Fields

    class Reserved(Aggregate.Event):
        fields: Fields

    class Settled(Aggregate.Event):
        fields: Fields

    @event(Opened)
    def __init__(self, fields: Fields) -> None:
        self.plan = fields["plan"]
        self.status = fields["status"]
        self.monthly_limit = fields["monthly_limit"]
        self.thresholds = fields["thresholds"]
        self.cycle = fields["cycle"]
        self.monthly_used = self.held = self.open_holds = 0
        self.requests_allowed_at = self.tokens_allowed_at = None

    @event(Reserved)
    def reserve(self, fields: Fields) -> None:
        self.held += fields["tokens"]
        self.open_holds += 1
        self.requests_allowed_at = fields["requests_allowed_at"]
        self.tokens_allowed_at = fields["tokens_allowed_at"]

    @event(Settled)
    def settle(self, fields: Fields) -> None:
        if fields["cycle_id"] != self.cycle["id"]:
            raise NotImplementedError("the log of the bench has one cycle")
        self.monthly_used += fields["from_allowance"]
        self.held -= fields["hold_tokens"] or 0
        self.open_holds -= fields["hold_tokens"] is not None
        self.tokens_allowed_at = fields["tokens_allowed_at"] or self.tokens_allowed_at


_CLASSES: Final = {
    AccountOpened: PeerAccount.Opened,
    TokensReserved: PeerAccount.Reserved,
    UsageSettled: PeerAccount.Settled,
}


def tutorial_rebuild(log: Decoded) -> Rebuild:
    """Store the log as the library does; what is returned rebuilds every account with `Repository.get`."""
    transcoder = JSONTranscoder()
    transcoder.register(UUIDAsHex())
    transcoder.register(DatetimeAsISO())
    store = EventStore[UUID](Mapper(transcoder), POPOAggregateRecorder())
    versions: dict[str, int] = {}
    for account_id, happened, at in log:
        version = versions[account_id] = versions.get(account_id, 0) + 1
        created = {"originator_topic": get_topic(PeerAccount)} if version == 1 else {}
        fields = msgspec.to_builtins(happened)
        kind = _CLASSES[type(happened)]
        stored = kind(originator_id=_id(account_id), originator_version=version, timestamp=at, fields=fields, **created)
        store.put([stored])
    repository, ids = Repository(store), [_id(account_id) for account_id in versions]

    def rebuild() -> list[Stands]:
        accounts: Iterable[PeerAccount] = (repository.get(each) for each in ids)
        return [Stands(each.version, each.monthly_used, each.held, each.open_holds) for each in accounts]

    return rebuild


class _Event(msgspec.Struct, frozen=True):
    """A domain event of the functional style: its fields are our own event."""

    originator_id: UUID
    originator_version: int
    timestamp: datetime


class Opened(_Event, frozen=True):
    data: AccountOpened


class Reserved(_Event, frozen=True):
    data: TokensReserved


class Settled(_Event, frozen=True):
    data: UsageSettled


_STRUCTS: Final = {AccountOpened: Opened, TokensReserved: Reserved, UsageSettled: Settled}


class _StructMapper(Mapper[UUID]):
    """Events to bytes and back with msgspec alone, one decoder for each class."""

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: Any) -> StoredEvent:  # Any: as the library's protocol of all events
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=get_topic(type(domain_event)),
            state=msgspec.json.encode(domain_event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:  # likewise
        return _decoder(stored_event.topic).decode(stored_event.state)


@cache
def _decoder(topic: str) -> msgspec.json.Decoder[_Event]:
    return msgspec.json.Decoder(resolve_topic(topic))


class _State(msgspec.Struct, frozen=True):
    id: UUID
    version: int
    cycle_id: str
    monthly_used: int = 0
    held: int = 0
    open_holds: int = 0
    requests_allowed_at: datetime | None = None
    tokens_allowed_at: datetime | None = None
    modified_on: datetime | None = None


def _project(state: _State | None, events: Iterable[_Event]) -> _State | None:
    for each in events:
        match each:
            case Reserved() if state is not None:
                state = _State(
                    *(state.id, each.originator_version, state.cycle_id, state.monthly_used),
                    *(state.held + each.data.tokens, state.open_holds + 1),
                    *(each.data.requests_allowed_at, each.data.tokens_allowed_at, each.timestamp),
                )
            case Settled() if state is not None and each.data.cycle_id == state.cycle_id:
                freed = each.data.hold_tokens
                state = _State(
                    *(state.id, each.originator_version, state.cycle_id),
                    *(state.monthly_used + each.data.from_allowance, state.held - (freed or 0)),
                    *(state.open_holds - (freed is not None), state.requests_allowed_at),
                    *(each.data.tokens_allowed_at or state.tokens_allowed_at, each.timestamp),
                )
            case Opened():
                state = _State(each.originator_id, 1, each.data.cycle.id, modified_on=each.timestamp)
            case _:
                raise NotImplementedError("the log of the bench has one cycle, and begins with an opening")
    return state


def functional_rebuild(log: Decoded) -> Rebuild:
    """As `tutorial_rebuild`."""
    store = EventStore[UUID](_StructMapper(), POPOAggregateRecorder())
    versions: dict[str, int] = {}
    for account_id, happened, at in log:
        version = versions[account_id] = versions.get(account_id, 0) + 1
        store.put([_STRUCTS[type(happened)](_id(account_id), version, at, happened)])
    repository, ids = Repository(store), [_id(account_id) for account_id in versions]

    def rebuild() -> list[Stands]:
        accounts: Iterable[_State] = (repository.get(each, projector_func=_project) for each in ids)
        return [Stands(each.version, each.monthly_used, each.held, each.open_holds) for each in accounts]

    return rebuild


def _id(account_id: str) -> UUID:
    return uuid5(NAMESPACE_URL, account_id)
