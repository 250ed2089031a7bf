"""What people typed never becomes a formula of whoever opens the records."""

import pytest
from chassis.operate.spreadsheet import cell_of


@pytest.mark.parametrize(
    "typed", ["=1+1", "+55 11", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\uff1d1", '=HYPERLINK("http://x")']
)
def test_what_a_spreadsheet_would_calculate_is_text(typed: str) -> None:
    assert cell_of(typed) == f"'{typed}"


@pytest.mark.parametrize(
    ("value", "cell"), [(None, ""), (0, "0"), (7490, "7490"), ("João", "João"), ("a=b", "a=b"), ("", "")]
)
def test_figures_and_plain_words_stay_as_they_are(value: object, cell: str) -> None:
    assert cell_of(value) == cell
