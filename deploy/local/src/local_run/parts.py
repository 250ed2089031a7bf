"""What one entry of the table of the run says, and what follows from it alone."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

_KILL_MARGIN_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A process of the run.

    It listens on `port`, and on `more_ports` by their own names, unless `SOLARIS_<NAME>_PORT` says otherwise or the
    port is taken. The lowest `stop_turn` stops first, those of one turn together; a part is killed after
    `stop_seconds`. A line that `routine` matches is everyday talk, which the terminal need not show.
    """

    name: str
    port: int
    more_ports: Mapping[str, int] = field(default_factory=dict)
    stop_turn: int
    stop_seconds: float
    routine: re.Pattern[str] | None = None

    @property
    def ports(self) -> dict[str, int]:
        return {self.name: self.port, **self.more_ports}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """What an operators' command takes, as make variables; what one service refuses `in_turn` the next is not asked.

    What several print is one JSON object by their names where it is `joined`, else one behind the other. A value of
    `of_first` means something to the first of them alone, who is then asked alone.
    """

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    in_turn: bool = False
    joined: bool = False
    of_first: tuple[str, ...] = ()


_DEAD_LETTER_VERBS: Final = {
    "dead-letters": Verb(),
    "dead-letters-retry": Verb(optional=("ID",)),
    "dead-letters-discard": Verb(required=("ID", "REASON")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Part):
    """One of our own programs: `python -m <module>`, with the settings `<module>.settings.<Name>Settings`.

    The module is the service's name, unless `program` says otherwise: several may stand in one package.
    On NATS it may say what `publishes` names, answer requests to `answers`, hear what `hears` names as it is published,
    read the durable consumers of `consumes` (stream, name), and what follows from these. Who consumes has dead letters;
    who gives up on what came another way says so (`has_letters`).
    It sees the variables that its settings name, and those of `sees`: `tells` always, `defaults` where the caller has
    none, and in the variable `secret` one that is made up for it. In each variable of `shared_secrets` is one that is
    made up for all services that name it.
    `also_reads` (module:function) is called with its settings before anything starts, and may refuse them.
    """

    stop_turn: int = 2
    stop_seconds: float = 2.0
    program: str | None = None
    path: str = ""
    note: str = "health, metrics"
    """With the address, what is shown when the run is ready."""
    migrates: bool = False
    """It has a schema, which `python -m chassis.migrate <name>` keeps, and a role."""
    has_role: bool = False
    """It has a role, which the migrations of another service give their rights."""
    publishes: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    hears: tuple[str, ...] = ()
    consumes: tuple[tuple[str, str], ...] = ()
    has_dead_letters: bool = True
    """What it can never read of what it consumes is kept, to be looked at and retried."""
    has_letters: bool = False
    sees: frozenset[str] = frozenset()
    tells: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    secret: str | None = None
    shared_secrets: tuple[str, ...] = ()
    also_reads: str | None = None
    own_verbs: Mapping[str, Verb] = field(default_factory=dict)
    verbs_read_settings: bool = False
    """Operators' commands are told its settings, and not the addresses alone."""

    @property
    def shutdown_seconds(self) -> float:
        """How long it may take to finish, before it is killed."""
        return self.stop_seconds - _KILL_MARGIN_SECONDS

    @property
    def role(self) -> str | None:
        """Its login role, which owns nothing and gets what its migrations grant."""
        return f"solaris_{self.name}" if self.migrates or self.has_role else None

    @property
    def module(self) -> str:
        return self.program or self.name

    @property
    def verbs(self) -> dict[str, Verb]:
        """The commands of `python -m <name>.operate`."""
        return {**self.own_verbs, **(_DEAD_LETTER_VERBS if self.gives_up else {})}

    @property
    def gives_up(self) -> bool:
        """It keeps dead letters of its own; those of a second program are the package's first one's."""
        return self.program is None and (self.has_letters or bool(self.consumes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A program of operators' commands alone, `python -m <name>.operate`: it runs for as long as one takes."""

    name: str
    verbs: Mapping[str, Verb]


def in_turns[P: Part](parts: Iterable[P]) -> list[tuple[P, ...]]:
    """Those that stop together, the first to stop first."""
    return [tuple(together) for _, together in groupby(sorted(parts, key=_stop_turn), key=_stop_turn)]


def start_order[P: Part](parts: Iterable[P]) -> list[P]:
    """The last to stop first."""
    return [part for together in reversed(in_turns(parts)) for part in together]


def _stop_turn(part: Part) -> int:
    return part.stop_turn
