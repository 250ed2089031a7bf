"""What a walk over the log notices without any database."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from contracts.balance import Cycle
from contracts.codec import encode
from contracts.events.accounts import AccountOpened, RateLimits
from contracts.events.charges import LotTokens
from contracts.events.rates import Rates
from contracts.events.registry import LedgerEvent
from contracts.events.reservations import TokensReserved, UsageSettled
from contracts.usage import Outcome, TokenUsage, UsageSource
from ledger.audit.comparison import sum_problems
from ledger.audit.problems import MAX_KEPT, Problem, Problems
from ledger.audit.walk import Walk
from ledger.store.codec import GENESIS, TYPES, StoredEvent, chain_hash
from ledger.store.log import FoldRow, StoredRow
from msgspec.structs import replace

AT = datetime(2026, 11, 3, 15, tzinfo=UTC)
CYCLE = Cycle(id="2026-11-03", starts_at=AT, ends_at=AT + timedelta(days=30))
OPENED = AccountOpened(
    plan="basic",
    status="active",
    monthly_limit=1_000,
    rate_limits=RateLimits(),
    thresholds=(80,),
    anchor_day=3,
    time_zone="UTC",
    cycle=CYCLE,
    catalog_version="1",
)
RESERVED = TokensReserved(
    reservation_id="r",
    tokens=30,
    prompt_tokens=10,
    output_tokens=20,
    choices=1,
    write_maximum=False,
    available_after=970,
    model="m",
    endpoint="e",
    cycle_id=CYCLE.id,
    expires_at=AT,
    rates=Rates(),
    catalog_version="1",
    content_hash="h",
)


def _settled(billable: int, from_allowance: int, *, hold: int = 30, lot: int = 0) -> UsageSettled:
    return UsageSettled(
        reservation_id="r",
        model="m",
        endpoint="e",
        usage=TokenUsage(),
        usage_source=UsageSource.PROVIDER,
        outcome=Outcome.COMPLETED,
        status=200,
        billable_tokens=billable,
        from_allowance=from_allowance,
        from_credits=(LotTokens(lot_id="lot", tokens=lot),) if lot else (),
        to_debt=0,
        hold_tokens=hold,
        cost_usd_micros=0,
        cycle_id=CYCLE.id,
        catalog_version="1",
        content_hash="h",
        started_at=AT,
        duration_ms=1,
    )


def _rows(*events: LedgerEvent) -> list[StoredRow]:
    rows, head = [], GENESIS
    for version, event in enumerate(events, start=1):
        event_id = UUID(int=version)
        event_type = TYPES[type(event)]
        data = encode(StoredEvent(id=str(event_id), type=event_type, subject="a", time=AT, data=event))
        head = chain_hash(head, "a", version, data)
        rows.append(StoredRow(version * 10, "a", version, event_id, event_type, AT, data, head))
    return rows


def _checked(rows: list[StoredRow]) -> tuple[Walk, list[Problem]]:
    problems = Problems()
    walk = Walk(problems)
    walk.check(rows)
    return walk, problems.first()


def test_a_sound_account_has_no_problem_and_its_sums_hold() -> None:
    walk, problems = _checked(_rows(OPENED, RESERVED, _settled(25, 25)))
    assert problems == []
    assert list(sum_problems(walk.accounts["a"])) == []
    assert walk.accounts["a"].account.monthly_used == 25
    assert (walk.accounts["a"].version, walk.accounts["a"].position) == (3, 30)


def test_a_share_that_is_not_owed_is_part_of_the_whole() -> None:
    _, problems = _checked(_rows(OPENED, RESERVED, replace(_settled(25, 20), to_unowed=5)))
    assert problems == []
    _, problems = _checked(_rows(OPENED, RESERVED, replace(_settled(25, 20), to_unowed=4)))
    assert len(problems) == 1


def test_folding_alone_gives_the_same_account_and_the_same_sums_of_holds() -> None:
    rows = _rows(OPENED, RESERVED, _settled(25, 25))
    checked, _ = _checked(rows)
    problems = Problems()
    folded = Walk(problems)
    folded.fold([FoldRow(row.position, row.account_id, row.version, row.type, row.data, row.hash) for row in rows])
    assert problems.count == 0
    assert folded.accounts["a"].account == checked.accounts["a"].account
    assert folded.accounts["a"].head == checked.accounts["a"].head
    assert folded.accounts["a"].hold_sums() == checked.accounts["a"].hold_sums()


@pytest.mark.parametrize("settled", [_settled(25, 24), _settled(25, 25, lot=1)])
def test_a_charge_whose_parts_are_not_the_whole_is_a_problem_though_its_hash_is_right(settled: UsageSettled) -> None:
    _, problems = _checked(_rows(OPENED, RESERVED, settled))
    assert [(problem.position, problem.version) for problem in problems] == [(30, 3)]
    assert "billable" in problems[0].reason


def test_held_tokens_that_no_open_hold_explains_are_a_problem() -> None:
    walk, problems = _checked(_rows(OPENED, RESERVED, _settled(25, 25, hold=29)))
    assert problems == []
    assert [reason for reason in sum_problems(walk.accounts["a"]) if "held" in reason]


def test_a_negative_sum_is_a_problem() -> None:
    walk, _ = _checked(_rows(OPENED, RESERVED, _settled(0, 0, hold=40)))
    assert "held is negative: -10" in list(sum_problems(walk.accounts["a"]))


def test_an_event_that_can_not_follow_is_told_and_folding_stops_there() -> None:
    walk, problems = _checked(_rows(_settled(5, 5), OPENED))
    assert [problem.version for problem in problems] == [1]
    assert not walk.accounts["a"].sound
    assert walk.accounts["a"].account.plan == ""


def test_a_version_that_comes_twice_is_told() -> None:
    rows = _rows(OPENED, RESERVED)
    _, problems = _checked([*rows, rows[-1]._replace(position=99)])
    assert [(problem.position, problem.reason) for problem in problems] == [(99, "version 2 after version 2")]


def test_problems_are_counted_all_and_the_earliest_kept() -> None:
    problems = Problems()
    for position in range(3 * MAX_KEPT, 0, -1):
        problems.add(Problem(position, "a", 1, "r"))
    problems.add(Problem(None, "a", 1, "gone"))
    assert problems.count == 3 * MAX_KEPT + 1
    assert [problem.position for problem in problems.first()] == list(range(1, MAX_KEPT + 1))
