"""What a person reads on a terminal: columns that stand under each other, and how far a long verb is."""

import io
from decimal import Decimal

import pytest
from chassis.operate import progress as progress_module
from chassis.operate.progress import Progress, progress_line
from chassis.operate.table import table_text


def test_words_stand_to_the_left_and_figures_to_the_right_with_their_thousands() -> None:
    assert table_text(("day", "calls", "note"), [("2026-11-20", 1_234, None), ("total", 7, "x")]).splitlines() == [
        "day         calls  note",
        "2026-11-20  1,234",
        "total           7  x",
    ]


def test_amounts_stand_among_the_figures_with_all_their_digits() -> None:
    assert table_text(("day", "cost"), [("a", Decimal("1234.5000")), ("b", Decimal(7))]).splitlines() == [
        "day        cost",
        "a    1,234.5000",
        "b             7",
    ]


def test_a_table_without_rows_is_its_head() -> None:
    assert table_text(("day", "calls"), []) == "day  calls\n"


def test_what_somebody_typed_moves_no_cursor() -> None:
    assert "\x1b" not in table_text(("model", "calls"), [("gpt\x1b[2J\n", 1)])


def test_progress_tells_the_share_the_rate_and_what_is_left() -> None:
    told = progress_line("replay of usage", "events", 1_200_000, 5_000_000, 20.0)
    assert told == "replay of usage: 1,200,000 of 5,000,000 events (24 %), 60,000 a second, 1:03 left"


def test_progress_of_nothing_yet_promises_no_end() -> None:
    assert progress_line("replay", "events", 0, 0, 0.0) == "replay: 0 of 0 events, 0 a second"


class Screen(io.StringIO):
    """Standard error where a person looks, or not."""

    def __init__(self, *, is_seen: bool) -> None:
        super().__init__()
        self._is_seen = is_seen

    def isatty(self) -> bool:
        return self._is_seen


@pytest.mark.parametrize("is_seen", [True, False])
def test_progress_stands_on_one_line_of_a_terminal_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, is_seen: bool
) -> None:
    screen = Screen(is_seen=is_seen)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(progress_module, "TELL_SECONDS", 0.0)
    with Progress("replay", "events") as progress:
        progress.tell(1, 4)
        progress.tell(2, 4)
    shown = screen.getvalue()
    assert "\n" not in shown
    assert ("2 of 4 events (50 %)" in shown) is is_seen
    assert shown.endswith("\r\x1b[K") is is_seen
    assert is_seen or shown == ""
