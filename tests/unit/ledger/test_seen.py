"""What a person sees of a report: whole units of money, and moments by the clock on the wall."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ledger.operate.seen import Value, seen_table


def test_amounts_are_seen_in_whole_units_and_moments_by_the_operators_clock() -> None:
    columns = ("at", "calls", "cost_usd_micros", "revenue_brl_minor", "revenue_jpy_minor")
    rows: list[tuple[Value, ...]] = [
        (datetime(2026, 11, 26, 18, 14, 6, tzinfo=UTC), 1_234, 47_114_219, 7_490, 1_490),
        ("total", None, 33, -5, None),
    ]
    assert seen_table(columns, rows, ZoneInfo("America/Sao_Paulo")).splitlines() == [
        "at                   calls  cost_usd  revenue_brl  revenue_jpy",
        "2026-11-26 15:14:06  1,234   47.1142        74.90        1,490",
        "total                         0.0000        -0.05",
    ]
