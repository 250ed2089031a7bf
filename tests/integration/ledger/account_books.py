"""A second set of books on one account, kept from the answers alone: what was promised, charged, granted and told."""

from dataclasses import dataclass, field

from contracts.balance import Balance
from contracts.errors import ConflictError, InvalidError, RefusalCode, SolarisError
from contracts.reservations import Granted, Refused
from ledger.domain.commands import (
    ChangeLimit,
    ChangeStatus,
    ExpireReservation,
    GrantCredits,
    ReserveTokens,
    RestoreCredits,
    RevokeCredits,
    SettleUsage,
)
from ledger.domain.decision import Answer, Ended
from msgspec.structs import replace

from tests.integration.ledger.account_histories import Message

type Heard = Answer | SolarisError


@dataclass
class Call:
    """One reservation: what was held for it, what it was charged when nothing came, and the figure that ended it."""

    granted: Granted | None = None
    content: str = ""
    expired: bool = False
    final: SettleUsage | None = None

    @property
    def ended(self) -> bool:
        return self.expired or self.final is not None

    @property
    def held(self) -> int:
        return self.granted.held_tokens if self.granted is not None and not self.ended else 0

    @property
    def charge(self) -> int:
        if self.final is not None:
            return self.final.usage.usage.prompt_tokens
        return self.granted.held_tokens if self.expired and self.granted is not None else 0

    @property
    def let_through(self) -> int:
        return self.charge if self.final is not None and self.final.usage.forwarded_without_hold else 0


@dataclass
class Books:
    """`hear` takes the answers of one step, in any order, `compare` the balance after it."""

    calls: dict[str, Call] = field(default_factory=dict)
    orders: dict[str, tuple[str, Balance]] = field(default_factory=dict)
    granted: dict[str, int] = field(default_factory=dict)
    revoked: dict[str, int] = field(default_factory=dict)
    limits: set[int] = field(default_factory=lambda: {10_000})
    statuses: set[str] = field(default_factory=lambda: {"active"})
    available: int = 10_000

    def hear(self, step: list[tuple[Message, Heard]]) -> None:
        ended_before = {each for each, call in self.calls.items() if call.ended}
        new_grants: dict[str, Granted] = {}
        # What ended a call is heard first: a repetition beside it may have come before or after.
        for message, answer in sorted(step, key=lambda each: not (isinstance(each[1], Ended) and each[1].changed)):
            match message.command:
                case ReserveTokens():
                    self._hear_reserve(message.command, answer, ended_before, new_grants)
                case SettleUsage():
                    self._hear_end(message.command, answer)
                case ExpireReservation():
                    self._hear_expiry(message.command, answer)
                case _:
                    self._hear_order(message, answer)
        for reservation_id, call in self.calls.items():
            assert not call.expired or call.granted is not None, f"{reservation_id} expired without a hold"
        if all(isinstance(message.command, ReserveTokens) for message, _ in step):
            held = sum(each.held_tokens for each in new_grants.values())
            assert held <= max(0, self.available), f"{held} were granted of {self.available}"
            lowest = min((each.available for each in new_grants.values()), default=None)
            assert lowest is None or lowest == self.available - held
        if len(step) == 1:
            self._compare_refusal(step[0][1])

    def compare(self, balance: Balance) -> None:
        calls = self.calls.values()
        granted, revoked = sum(self.granted.values()), sum(self.revoked.values())
        assert balance.held == sum(call.held for call in calls), "held is not the sum of the open holds"
        spent = granted - revoked - balance.credits
        charged = sum(call.charge for call in calls)
        told = balance.monthly_used + spent + balance.debt + balance.unowed
        assert told == charged, f"{charged} were charged, the balance tells of {told}"
        assert balance.unowed <= sum(call.let_through for call in calls), "unowed beyond what was let through"
        assert min(balance.monthly_used, balance.credits, balance.debt, balance.unowed) >= 0
        assert balance.monthly_remaining == max(0, balance.monthly_limit - balance.monthly_used)
        assert balance.available == balance.monthly_remaining + balance.credits - balance.debt - balance.held
        assert balance.monthly_limit in self.limits, f"a limit of {balance.monthly_limit}, not of {self.limits}"
        assert balance.status in self.statuses, f"{balance.status}, not {self.statuses}"
        self.limits, self.statuses, self.available = {balance.monthly_limit}, {balance.status}, balance.available

    def _hear_reserve(
        self, command: ReserveTokens, answer: Heard, ended_before: set[str], new_grants: dict[str, Granted]
    ) -> None:
        call = self.calls.setdefault(command.reservation_id, Call())
        if isinstance(answer, Granted):
            assert command.reservation_id not in ended_before, "granted what had ended"
            told = replace(answer, expires_in_seconds=None)
            if call.granted is None:
                call.granted, call.content = told, command.content_hash
                new_grants[command.reservation_id] = told
            assert call.granted == told, "a repetition got another hold"
            assert call.content == command.content_hash, "another content got the hold"
            assert answer.available >= 0, "granted more than was available"
            return
        assert isinstance(answer, Refused), answer
        if call.granted is None and not call.ended:
            return
        # It may have been refused for want of tokens before another of this step got the hold.
        if command.reservation_id in ended_before:
            assert answer.code in {RefusalCode.RESERVATION_CLOSED, RefusalCode.CONFLICT}, answer
        elif command.reservation_id not in new_grants and not call.ended:
            assert answer.code is RefusalCode.CONFLICT, answer
            assert call.content != command.content_hash, "the hold's own content is called another"

    def _hear_end(self, command: SettleUsage, answer: Heard) -> None:
        call = self.calls.setdefault(command.reservation_id, Call())
        match answer:
            case Ended(changed=True):
                assert call.final is None, "charged twice"
                call.final = command
            case Ended():
                assert call.final is not None, "usage was taken for a repetition, and never charged"
                assert call.final.content_hash == command.content_hash, "another figure was taken for a repetition"
            case ConflictError():
                assert call.final is not None, "a conflict with nothing"
                assert call.final.content_hash != command.content_hash, "a repetition was called a conflict"
            case _:
                raise AssertionError(answer)

    def _hear_expiry(self, command: ExpireReservation, answer: Heard) -> None:
        assert isinstance(answer, Ended), answer
        call = self.calls.setdefault(command.reservation_id, Call())
        if answer.changed:
            assert not call.expired, "expired twice"
            call.expired = True

    def _hear_order(self, message: Message, answer: Heard) -> None:
        assert message.command_id is not None, message
        content = repr(message.command)
        known = self.orders.get(message.command_id)
        match answer:
            case Balance() if known is None:
                self.orders[message.command_id] = (content, answer)
                self._carry_out(message, answer)
            case Balance():
                assert known == (content, answer), "a repeated order got another answer"
            case ConflictError():
                granted_before = isinstance(message.command, GrantCredits)
                assert granted_before or known is None or known[0] != content, "a repetition was called a conflict"
            case InvalidError():
                assert isinstance(message.command, RevokeCredits | RestoreCredits), answer
            case _:
                raise AssertionError(answer)

    def _carry_out(self, message: Message, balance: Balance) -> None:
        match message.command:
            case GrantCredits(lot_id=lot_id, tokens=tokens):
                assert lot_id not in self.granted, "one lot was granted twice"
                self.granted[lot_id] = tokens
            case RevokeCredits(lot_id=lot_id, tokens=tokens):
                self.revoked[lot_id] = self.revoked.get(lot_id, 0) + tokens
            case RestoreCredits(lot_id=lot_id, tokens=tokens):
                self.revoked[lot_id] -= tokens
                assert self.revoked[lot_id] >= 0, "more was restored than was revoked"
            case ChangeStatus(status=status):
                assert balance.status == status
                self.statuses.add(status)
            case ChangeLimit(monthly_limit=monthly_limit):
                assert balance.monthly_limit == monthly_limit
                self.limits.add(monthly_limit)
            case _:
                self.limits.add(balance.monthly_limit)

    def _compare_refusal(self, answer: Heard) -> None:
        if isinstance(answer, Refused) and answer.figures is not None:
            assert answer.figures.available == self.available, "refused by another figure than the balance's"
            assert answer.figures.needed > self.available, "refused what was there"
