"""A second, naive account: mutable, without events, written from the rules and not from the code under test."""

from calendar import monthrange
from dataclasses import dataclass, field
from datetime import datetime, timedelta

SMALLEST_CALL = 288
THRESHOLDS = (80, 90, 95, 100)


@dataclass
class LotModel:
    id: str
    tokens: int
    expires_at: datetime | None = None
    granted: int = 0
    revoked: int = 0
    restored: int = 0
    place: int = 0


@dataclass
class PartModel:
    """One piece of a charge: `lot` None and neither `debt` nor `unowed` is allowance."""

    tokens: int
    lot: LotModel | None = None
    place: int = 0
    debt: bool = False
    unowed: bool = False


@dataclass
class ReservationModel:
    id: str
    tokens: int
    cycle: int
    expires_at: datetime
    state: str = "open"
    parts: list[PartModel] = field(default_factory=list)

    @property
    def charged(self) -> int:
        return sum(part.tokens for part in self.parts)


class AccountModel:
    """An account with cycles from the 10th to the 10th, as long as no payment starts others.

    `told` lists what people were told by the last change.
    """

    def __init__(self, limit: int, now: datetime) -> None:
        self.limit, self.used, self.debt, self.unowed = limit, 0, 0, 0
        self.purse: list[LotModel] = []  # every lot ever, as they came; an empty one stays where it is
        self.places = 0
        self.cycle = 0
        self.anchor = 10
        self.starts_at, self.ends_at = now, next_anchor(now, self.anchor)
        self.remainders: dict[int, int] = {}
        self.closings: list[int] = []  # what each ended cycle had used
        self.reservations: dict[str, ReservationModel] = {}
        self.crossed: set[int] = set()
        self.out = False
        self.told: list[object] = []

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    @property
    def lots(self) -> list[LotModel]:
        return [lot for lot in self.purse if lot.tokens]

    @property
    def credits(self) -> int:
        return sum(lot.tokens for lot in self.lots)

    @property
    def worth(self) -> int:
        return self.remaining + self.credits - self.debt

    @property
    def held(self) -> int:
        """Holds of this cycle, and of earlier ones what their remainders leave uncovered."""
        return self._open(self.cycle) + self._uncovered()

    @property
    def available(self) -> int:
        return self.worth - self.held

    @property
    def open_holds(self) -> int:
        return sum(each.state == "open" for each in self.reservations.values())

    def advance(self, now: datetime) -> None:
        while self.ends_at <= now:
            self.remainders[self.cycle] = self.remaining
            self.closings.append(self.used)
            self.cycle += 1
            self.starts_at, self.ends_at = self.ends_at, next_anchor(self.ends_at, self.anchor)
            repaid = min(self.debt, self.limit)
            self.used, self.debt = repaid, self.debt - repaid
            self.crossed.clear()
            if now < self.ends_at:
                self._tell_usage(had_allowance=True)
            self._tell_back()
        needed = max(0, self._open(self.cycle) - self.remaining) + self._uncovered()
        for lot in self.purse:
            if lot.expires_at is not None and lot.expires_at <= now:
                going = min(lot.tokens, max(0, self.credits - needed))
                lot.tokens -= going
                if going:
                    self._tell_out(SMALLEST_CALL)
        self._sweep()

    def reserve(self, reservation_id: str, tokens: int, expires_at: datetime) -> None:
        self.reservations[reservation_id] = ReservationModel(reservation_id, tokens, self.cycle, expires_at)

    def refuse(self) -> None:
        self._tell_out(SMALLEST_CALL)

    def end(self, reservation_id: str, tokens: int, now: datetime, *, let_through: bool = False) -> None:
        """Settle by real usage: charge an open hold, or correct an expired one."""
        reservation = self.reservations[reservation_id]
        had_allowance = self.remaining > 0
        worth = self.worth
        was, reservation.state = reservation.state, "ended"
        difference = tokens - reservation.charged
        if difference >= 0:
            self._charge(reservation, difference, let_through=let_through)
        else:
            self._give_back(reservation, -difference, now)
        self._sweep()
        self._tell_usage(had_allowance=had_allowance)
        if not let_through:
            self._tell_out(SMALLEST_CALL)
        if was == "expired" and self.worth > worth:
            self._tell_back()

    def release(self, reservation_id: str, now: datetime) -> None:
        if self.reservations[reservation_id].state == "expired":
            self.end(reservation_id, 0, now)
        else:
            self.reservations[reservation_id].state = "ended"
            self._sweep()

    def expire(self, reservation_id: str) -> None:
        reservation = self.reservations[reservation_id]
        had_allowance = self.remaining > 0
        reservation.state = "expired"
        self._charge(reservation, reservation.tokens)
        self._sweep()
        self._tell_usage(had_allowance=had_allowance)
        self._tell_out(SMALLEST_CALL)

    def grant(self, lot_id: str, tokens: int, expires_at: datetime | None) -> None:
        repaid = min(self.debt, tokens)
        self.debt -= repaid
        self._put(LotModel(lot_id, tokens - repaid, expires_at, granted=tokens))
        self._sweep()
        self._tell_back()

    def may_revoke(self, lot_id: str) -> int:
        """What is left to refund of a lot, spent or not; 0 for one that never was."""
        return sum(lot.granted - lot.revoked + lot.restored for lot in self.purse if lot.id == lot_id)

    def restore(self, lot_id: str, tokens: int) -> None:
        """A lot that was empty comes back as the newest."""
        (lot,) = (lot for lot in self.purse if lot.id == lot_id)
        lot.restored += tokens
        repaid = min(self.debt, tokens)
        self.debt -= repaid
        if not lot.tokens:
            self.purse.remove(lot)
            self._put(lot)
        lot.tokens += tokens - repaid
        self._sweep()
        self._tell_back()

    def pay_cycle(self, limit: int, now: datetime, period_starts_at: datetime) -> None:
        worth = self.worth
        self.remainders[self.cycle] = self.remaining
        self.closings.append(self.used)
        self.cycle += 1
        self.anchor = period_starts_at.day
        self.starts_at, self.ends_at = now, next_anchor(max(now, period_starts_at), self.anchor)
        self.limit = limit
        repaid = min(self.debt, limit)
        self.used, self.debt = repaid, self.debt - repaid
        self.crossed.clear()
        self._sweep()
        self._tell_usage(had_allowance=True)
        self._tell_out(SMALLEST_CALL)
        if self.worth > worth:
            self._tell_back()

    def revoke(self, lot_id: str, tokens: int) -> None:
        for lot in self.purse:
            if lot.id == lot_id:
                taken = min(lot.tokens, tokens)
                lot.tokens -= taken
                lot.revoked += tokens
                tokens -= taken
        self.debt += tokens
        self._sweep()
        self._tell_out(SMALLEST_CALL)

    def set_limit(self, limit: int, *, is_unpaid: bool = False) -> None:
        """`is_unpaid`: what was used beyond the limit is owed."""
        if limit == self.limit:
            return
        worth, had_allowance = self.worth, self.remaining > 0
        added = max(0, limit - self.used) - self.remaining
        raised, self.limit = limit > self.limit, limit
        repaid = max(0, min(self.debt, added))
        self.debt -= repaid
        self.used += repaid
        if is_unpaid:
            owed = max(0, self.used - limit)
            self.used -= owed
            self.debt += owed
        if raised:
            self.crossed = {percent for percent in self.crossed if self._reached(percent)}
        self._tell_usage(had_allowance=had_allowance)
        self._tell_out(SMALLEST_CALL)
        if self.worth > worth:
            self._tell_back()

    def put_back(self, before: "AccountModel") -> None:
        """Into the cycle of `before`, from a time that has not come."""
        used_before = sum(self.closings[len(before.closings) :])
        used = used_before + self.used
        self.used = min(used, max(self.limit, used_before))
        self.debt += used - self.used
        self.cycle, self.starts_at, self.ends_at = before.cycle, before.starts_at, before.ends_at
        self.closings = before.closings
        now_used, self.used = self.used, used_before
        had_allowance = self.remaining > 0
        self.crossed = {percent for percent in THRESHOLDS if self._reached(percent)}
        self.used = now_used
        self._tell_usage(had_allowance=had_allowance)
        self._tell_out(SMALLEST_CALL)

    def _charge(self, reservation: ReservationModel, tokens: int, *, let_through: bool = False) -> None:
        # What others hold stays theirs.
        unowed = max(0, tokens - max(0, self.available)) if let_through else 0
        tokens -= unowed
        running = reservation.cycle == self.cycle
        room = self.remaining if running else self.remainders.get(reservation.cycle, 0)
        from_allowance = min(room, tokens)
        if running:
            self.used += from_allowance
        elif from_allowance:
            self.remainders[reservation.cycle] -= from_allowance
        reservation.parts.append(PartModel(from_allowance))
        tokens -= from_allowance
        dated = sorted((lot for lot in self.purse if lot.expires_at), key=lambda lot: str(lot.expires_at))
        for lot in [*dated, *(lot for lot in self.purse if not lot.expires_at)]:
            taken = min(lot.tokens, tokens)
            lot.tokens -= taken
            tokens -= taken
            reservation.parts.append(PartModel(taken, lot=lot, place=lot.place))
        reservation.parts.append(PartModel(tokens + unowed, debt=not let_through, unowed=let_through))
        if let_through:
            self.unowed += tokens + unowed
        else:
            self.debt += tokens

    def _give_back(self, reservation: ReservationModel, tokens: int, now: datetime) -> None:
        allowance_back, lots_back = 0, []
        while tokens:
            part = reservation.parts[-1]
            back = min(part.tokens, tokens)
            part.tokens -= back
            tokens -= back
            if part.debt:
                cancelled = min(back, self.debt)
                self.debt -= cancelled
                self._put(LotModel(f"correction:{reservation.id}", back - cancelled))
            elif part.unowed:
                self.unowed -= back
            elif part.lot is not None:
                if back and (part.lot.expires_at is None or part.lot.expires_at > now):
                    if not part.lot.tokens:
                        part.lot.place = part.place
                        self.purse.sort(key=lambda lot: lot.place)
                    part.lot.tokens += back
                    lots_back.append((part.lot, back))
            elif reservation.cycle == self.cycle:
                allowance_back = back
            if not part.tokens:
                reservation.parts.pop()
        room = max(0, self.limit - self.used + allowance_back)
        repaid = min(self.debt, allowance_back, room)
        self.used += repaid - allowance_back
        self.debt -= repaid
        for lot, back in lots_back:
            repaid = min(self.debt, back)
            lot.tokens -= repaid
            self.debt -= repaid

    def _put(self, lot: LotModel) -> None:
        self.places += 1
        lot.place = self.places
        self.purse.append(lot)

    def _open(self, cycle: int) -> int:
        return sum(each.tokens for each in self.reservations.values() if each.state == "open" and each.cycle == cycle)

    def _uncovered(self) -> int:
        return sum(max(0, self._open(cycle) - left) for cycle, left in self.remainders.items())

    def _sweep(self) -> None:
        cycles = {each.cycle for each in self.reservations.values() if each.state == "open"}
        self.remainders = {cycle: left for cycle, left in self.remainders.items() if cycle in cycles}

    def _reached(self, percent: int) -> bool:
        return self.limit > 0 and self.used * 100 >= self.limit * percent

    def _tell_usage(self, *, had_allowance: bool) -> None:
        for percent in THRESHOLDS:
            if percent not in self.crossed and self._reached(percent):
                self.crossed.add(percent)
                self.told.append(percent)
        if self.limit and had_allowance and not self.remaining:
            self.told.append("allowance exhausted")

    def _tell_out(self, needed: int) -> None:
        if not self.out and self.worth < needed:
            self.out = True
            self.told.append("out")

    def _tell_back(self) -> None:
        if self.out and self.worth >= SMALLEST_CALL:
            self.out = False
            self.told.append("back")


def next_anchor(moment: datetime, anchor: int) -> datetime:
    """The first midnight after the moment of that day of a month, or of the month's last day if it is shorter."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    while True:
        day += timedelta(days=1)
        if day.day == min(anchor, monthrange(day.year, day.month)[1]):
            return day
