"""What is typed becomes a value, or one line that says what to type."""

import pytest
from chassis.operate.options import switch, text, whole_number


def test_digits_within_bounds_are_a_number() -> None:
    assert whole_number(0, 2**63 - 1)("0") == 0
    assert whole_number(1, 2**63 - 1)(str(2**63 - 1)) == 2**63 - 1


@pytest.mark.parametrize("typed", ["0", "-1", "+7", " 7", "1_000", "1.0", "1e3", "٣", "x", "8", "9" * 30])
def test_anything_else_is_none(typed: str) -> None:
    with pytest.raises(ValueError, match=r"^a whole number from 1 to 7, in digits alone$"):
        whole_number(1, 7)(typed)


def test_text_is_what_everybody_can_store() -> None:
    assert text(4)("não\n") == "não\n"
    for typed in ("12345", "a\x00", "\udcff"):
        with pytest.raises(ValueError, match=r"^at most 4 characters of valid text$"):
            text(4)(typed)


def test_a_switch_is_on_or_not_given() -> None:
    assert switch("1")
    for typed in ("0", "yes", "true", "11"):
        with pytest.raises(ValueError, match=r"^1, or nothing$"):
            switch(typed)
