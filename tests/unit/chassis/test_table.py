"""What a person reads on a terminal: columns that stand under each other, and how far a long verb is."""

from chassis.operate.progress import progress_line
from chassis.operate.table import table_text


def test_words_stand_to_the_left_and_figures_to_the_right_with_their_thousands() -> None:
    assert table_text(("day", "calls", "note"), [("2026-11-20", 1_234, None), ("total", 7, "x")]).splitlines() == [
        "day         calls  note",
        "2026-11-20  1,234",
        "total           7  x",
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
