"""Account ids: which are legal, and that each has a subject token of its own."""

import re

import pytest
from contracts.accounts import AccountId, is_account_id, subject_token
from hypothesis import given as for_all
from hypothesis import strategies as st
from msgspec import ValidationError, convert

account_ids = st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True)


@pytest.mark.parametrize("text", ["a", "507f1f77bcf86cd799439011", "A.b_c:d-e", "x" * 128, ".", "-"])
def test_legal_ids(text: str) -> None:
    assert is_account_id(text)
    assert convert(text, AccountId) == text


@pytest.mark.parametrize("text", ["", "x" * 129, "a b", "a\n", "é", "a@b", "a/b", "a\x00", "=b32=AA", "a*", ">", "٣"])
def test_any_other_id_is_refused_alike_everywhere(text: str) -> None:
    assert not is_account_id(text)
    with pytest.raises(ValidationError):
        convert(text, AccountId)


def test_ids_are_never_normalised() -> None:
    assert subject_token("Person") != subject_token("person")


def test_an_id_without_a_dot_is_its_own_token() -> None:
    assert subject_token("user:1_a-B") == "user:1_a-B"


def test_an_id_with_a_dot_is_encoded() -> None:
    assert subject_token("a.b") == "=b32=MEXGE"


@for_all(account_ids)
def test_every_token_is_one_legal_subject_token(account_id: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_:=-]+", subject_token(account_id))


@for_all(account_ids, account_ids)
def test_no_two_ids_share_a_token(one: str, other: str) -> None:
    assert (subject_token(one) == subject_token(other)) == (one == other)
