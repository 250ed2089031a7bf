"""Codes can be read, typed and told from what was mistyped; what is stored of one does not give it away."""

import pytest
from billing.domain.voucher_codes import ALPHABET, RANDOM_BITS, MistypedCodeError, code_of, digest_of, read_code
from hypothesis import assume, given
from hypothesis import strategies as st

numbers = st.integers(min_value=0, max_value=2**RANDOM_BITS - 1)


@given(numbers)
def test_a_code_is_read_however_it_is_typed(number: int) -> None:
    code = code_of(number)
    assert read_code(code) == code
    assert read_code(f"  {code.lower().replace('-', ' ')} ") == code
    assert read_code(code.replace("-", "").replace("1", "l").replace("0", "o")) == code


@given(numbers, numbers)
def test_other_numbers_have_other_codes(one: int, other: int) -> None:
    assert (code_of(one) == code_of(other)) == (one == other)


@given(numbers, st.integers(0, 15), st.sampled_from(ALPHABET))
def test_one_wrong_letter_is_always_noticed(number: int, place: int, letter: str) -> None:
    letters = code_of(number).replace("-", "")
    assume(letters[place] != letter)
    with pytest.raises(MistypedCodeError):
        read_code(letters[:place] + letter + letters[place + 1 :])


@given(numbers, st.integers(0, 15), st.integers(0, 15))
def test_two_letters_that_changed_places_are_always_noticed(number: int, one: int, other: int) -> None:
    letters = list(code_of(number).replace("-", ""))
    assume(letters[one] != letters[other])
    letters[one], letters[other] = letters[other], letters[one]
    with pytest.raises(MistypedCodeError):
        read_code("".join(letters))


@pytest.mark.parametrize(
    "typed", ["", "-", "0" * 15, "0" * 17, "U" * 16, "ç" * 16, "\u0663" * 16, "\x00" * 16, "A" * 100_000, "\u017f" * 16]
)
def test_what_is_no_code_is_refused(typed: str) -> None:
    with pytest.raises(MistypedCodeError):
        read_code(typed)


def test_a_code_looks_as_it_is_printed() -> None:
    assert code_of(0) == "0000-0000-0000-0000"
    assert code_of(2**RANDOM_BITS - 1).startswith("ZZZZ-ZZZZ-ZZZZ-ZZZ")


def test_what_is_stored_is_the_same_for_the_same_code_alone() -> None:
    one, other = code_of(1), code_of(2)
    assert digest_of(one) == digest_of(read_code(one.lower())) != digest_of(other)
    assert len(digest_of(one)) == 32
