"""What happens to one account, drawn from a seed: messages of all kinds, in any order, late, twice, at any process."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from contracts.usage import Outcome
from ledger.application.submission import Idempotency, Kind
from ledger.domain.commands import (
    ChangeLimit,
    ChangePlan,
    ChangeStatus,
    Command,
    ExpireReservation,
    GrantCredits,
    ReserveTokens,
    RestoreCredits,
    RevokeCredits,
    SettleUsage,
)

from tests.support.gateway_messages import usage_recorded
from tests.support.ledger_commands import reserve_tokens, settle_usage

PROCESSES: Final = 3
"""Two that serve calls, and last an operator's."""
OPERATOR: Final = PROCESSES - 1
STARTED: Final = datetime.now(UTC)


@dataclass(frozen=True)
class Message:
    """A command as it is sent, and sent again; `command_id` names those of operators."""

    command: Command
    kind: Kind
    command_id: str | None = None

    @property
    def idempotency(self) -> Idempotency | None:
        if self.command_id is None:
            return None
        return Idempotency(command_id=self.command_id, content_hash=repr(self.command))


@dataclass(frozen=True)
class Sent:
    message: Message
    process: int


type Step = tuple[Sent, ...]
"""Messages that are under way at the same time."""


def draw_history(seed: int, account_id: str) -> list[Step]:
    """10 to 30 steps; the same ones for the same seed."""
    return _Draw(seed, account_id).history()


def describe(steps: list[Step]) -> str:
    """One line a message, so that a history that failed can be read."""
    return "\n".join(
        f"{number:>3} at {sent.process}: {_words(sent.message)}" for number, step in enumerate(steps) for sent in step
    )


def _words(message: Message) -> str:
    match message.command:
        case ReserveTokens(reservation_id=reservation_id, content_hash=content):
            return f"reserve {reservation_id} {content}"
        case SettleUsage(reservation_id=reservation_id, content_hash=content):
            let_through = " let through" if message.command.usage.forwarded_without_hold else ""
            return f"settle {reservation_id} {content}{let_through}"
        case ExpireReservation(reservation_id=reservation_id):
            return f"expire {reservation_id}"
        case _:
            return f"{message.command_id} {message.command}"


class _Draw:
    def __init__(self, seed: int, account_id: str) -> None:
        self._random = random.Random(seed)
        self._account_id = account_id
        self._sent: list[Message] = []
        self._reservations: list[str] = []
        self._lots: list[str] = []
        self._commands = 0

    def history(self) -> list[Step]:
        return [self._step() for _ in range(self._random.randint(10, 30))]

    def _step(self) -> Step:
        if self._random.random() < 0.75:
            return (self._send(self._message()),)
        messages = [self._message() for _ in range(self._random.randint(1, 3))]
        messages.append(self._random.choice([*messages, self._message()]))
        first = self._random.randrange(PROCESSES)
        return tuple(Sent(each, (first + number) % PROCESSES) for number, each in enumerate(messages))

    def _send(self, message: Message) -> Sent:
        # Operators have a process of their own as a rule; calls seldom meet it.
        own = OPERATOR if message.kind is Kind.ADMIN else self._random.randrange(OPERATOR)
        return Sent(message, own if self._random.random() < 0.85 else self._random.randrange(PROCESSES))

    def _message(self) -> Message:
        if self._sent and self._random.random() < 0.25:
            return self._random.choice(self._sent)
        draws = (self._reserve, self._settle, self._release, self._expire, self._administer)
        (draw,) = self._random.choices(draws, (36, 28, 6, 12, 18))
        message = draw()
        self._sent.append(message)
        return message

    def _reserve(self) -> Message:
        prompt, maximum = self._random.randint(1, 3_000), self._random.choice((0, 100, 4_000))
        reservation_id, content = self._reservation_id(known=0.05), f"{prompt}+{maximum}"
        command = reserve_tokens(self._account_id, reservation_id, prompt=prompt, maximum=maximum, content_hash=content)
        return Message(command, Kind.RESERVE)

    def _settle(self) -> Message:
        tokens = self._random.choice((0, 1, self._random.randint(1, 3_000), self._random.randint(1, 9_000)))
        return self._end(tokens, Outcome.COMPLETED, let_through=self._random.random() < 0.2)

    def _release(self) -> Message:
        return self._end(0, Outcome.NOT_FORWARDED)

    def _end(self, tokens: int, outcome: Outcome, *, let_through: bool = False) -> Message:
        usage = usage_recorded(
            self._reservation_id(known=0.9),
            prompt=tokens,
            outcome=outcome,
            started_at=STARTED,
            forwarded_without_hold=let_through,
        )
        return Message(settle_usage(self._account_id, usage, f"{tokens} {outcome}"), Kind.USAGE)

    def _expire(self) -> Message:
        reservation_id = self._reservation_id(known=0.98)
        return Message(ExpireReservation(account_id=self._account_id, reservation_id=reservation_id), Kind.SWEEPER)

    def _administer(self) -> Message:
        # Now and then a key that was used for something else.
        if not self._commands or self._random.random() > 0.05:
            self._commands += 1
        number = self._random.randint(1, self._commands) if self._random.random() < 0.05 else self._commands
        return Message(self._order(), Kind.ADMIN, f"order-{number}")

    def _order(self) -> Command:
        account_id, tokens = self._account_id, self._random.randint(1, 6_000)
        match self._random.choice(("grant", "grant", "revoke", "restore", "limit", "plan", "status", "activate")):
            case "grant":
                if not self._lots or self._random.random() > 0.1:
                    self._lots.append(f"lot-{len(self._lots)}")
                return GrantCredits(
                    account_id=account_id, lot_id=self._lots[-1], tokens=tokens, source="admin", reference="r"
                )
            case "revoke":
                lot_id = self._random.choice(self._lots or ["none"])
                return RevokeCredits(account_id=account_id, lot_id=lot_id, tokens=tokens // 2 + 1, reference="r")
            case "restore":
                lot_id = self._random.choice(self._lots or ["none"])
                return RestoreCredits(account_id=account_id, lot_id=lot_id, tokens=tokens // 8 + 1, reference="r")
            case "limit":
                return ChangeLimit(account_id=account_id, monthly_limit=self._random.choice((0, tokens, 3 * tokens)))
            case "plan":
                return ChangePlan(account_id=account_id, plan=self._random.choice(("basic", "premium")))
            case "status":
                return ChangeStatus(account_id=account_id, status=self._random.choice(("suspended", "blocked")))
            case _:
                return ChangeStatus(account_id=account_id, status="active")

    def _reservation_id(self, *, known: float) -> str:
        if self._reservations and self._random.random() < known:
            # The latest ones more often: those are likely to be open.
            return self._random.choice(self._reservations[-self._random.choice((1, 3, 100)) :])
        self._reservations.append(f"{self._account_id}-r{len(self._reservations)}")
        return self._reservations[-1]
