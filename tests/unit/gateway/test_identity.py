"""Who a call is for."""

import base64

import pytest
from contracts.accounts import is_account_id
from gateway.domain.errors import InvalidRequestError, MissingUserError
from gateway.domain.identity import account_id_of, header_text, identify
from hypothesis import given
from hypothesis import strategies as st

KEY = b"a key"


def b64(text: str) -> bytes:
    return b"b64:" + base64.b64encode(text.encode())


def test_legal_ids_are_never_changed() -> None:
    for user in ("66f0c1", "A.b_c:d-e", "x" * 128):
        assert identify({b"x-user-id": user.encode()}, None, KEY).account_id == user


@given(st.text(min_size=1))
def test_any_other_id_becomes_a_legal_pseudonym_that_depends_on_the_key(user: str) -> None:
    account_id = account_id_of(user, KEY)
    assert is_account_id(account_id)
    if account_id != user:
        assert account_id == account_id_of(user, KEY) != account_id_of(user, b"another key")


def test_the_id_that_a_pseudonym_stands_for_goes_with_the_profile_so_that_operators_find_the_person() -> None:
    odd = identify({b"x-user-id": b64("maria@exemplo.com.br")}, None, KEY)
    assert odd.profile is not None
    assert odd.profile.user_id == "maria@exemplo.com.br"
    assert identify({b"x-user-id": b"ana"}, None, KEY).profile is None
    named = identify({b"x-user-id": b"ana", b"x-user-name": b"Ana"}, None, KEY).profile
    assert named is not None
    assert named.user_id is None
    for unstorable in ("a\0b", "é" * 400):
        assert identify({b"x-user-id": b64(unstorable)}, None, KEY).profile is None


def test_header_goes_before_the_body_and_an_empty_one_is_absent() -> None:
    assert identify({b"x-user-id": b"ana"}, "bob", KEY).account_id == "ana"
    for empty in (b"", b"  ", b"b64:", b"{{LIBRECHAT_USER_ID}}"):
        assert identify({b"x-user-id": empty}, "bob", KEY).account_id == "bob"
    with pytest.raises(MissingUserError):
        identify({}, None, KEY)


def test_a_placeholder_that_nobody_filled_in_names_nobody_wherever_it_stands() -> None:
    for unfilled in (b"librechat-{{LIBRECHAT_USER_ID}}", b"{{LIBRECHAT_USER_ID}}@example.com", b64("x{{Y}}")):
        with pytest.raises(MissingUserError):
            identify({b"x-user-id": unfilled}, None, KEY)


def test_nobody_can_name_another_s_pseudonym() -> None:
    odd = identify({b"x-user-id": b64("ana@example.com")}, None, KEY).account_id
    assert odd.startswith("p-")
    taken = identify({b"x-user-id": odd.encode()}, None, KEY).account_id
    assert taken.startswith("p-")
    assert taken != odd
    assert identify({b"x-user-id": b"p-1"}, None, KEY).account_id == "p-1"


def test_values_are_plain_or_marked_base64() -> None:
    caller = identify(
        {b"x-user-id": b"u", b"x-user-name": "José".encode("latin-1"), b"x-user-email": b64("a@é.br")}, None, KEY
    )
    assert caller.profile is not None
    assert (caller.profile.name, caller.profile.email) == ("José", "a@é.br")
    assert header_text(b64("Ana 😀")) == "Ana 😀"


latin_1 = st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="{}\x7f")


@given(st.text(alphabet=latin_1, min_size=1).map(str.strip).filter(lambda user: user and user[:4] != "b64:"))
def test_a_plain_header_of_utf_8_names_whom_the_body_does(user: str) -> None:
    assert identify({b"x-user-id": user.encode()}, None, KEY) == identify({}, user, KEY)


def test_one_person_is_one_account_in_every_encoding_and_mail_reaches_a_domain_with_an_accent() -> None:
    encodings = ("conceição".encode(), "conceição".encode("latin-1"), b64("conceição"))
    callers = [identify({b"x-user-id": user, b"x-user-email": b"a@\xc3\xa9.br"}, None, KEY) for user in encodings]
    assert {caller.account_id for caller in callers} == {account_id_of("conceição", KEY)}
    assert {caller.profile.email for caller in callers if caller.profile} == {"a@é.br"}


def test_broken_base64_of_the_user_is_refused_and_of_the_rest_left_out() -> None:
    for broken in (b"b64:%%%", b"b64:" + base64.b64encode(b"\xff\xfe"), b"b64:abc"):
        with pytest.raises(InvalidRequestError):
            identify({b"x-user-id": broken}, None, KEY)
        assert identify({b"x-user-id": b"u", b"x-user-name": broken}, None, KEY).profile is None


def test_unstorable_texts_are_left_out() -> None:
    caller = identify(
        {
            b"x-user-id": b"u",
            b"x-user-name": b64("a\0b"),
            b"x-conversation-id": b"c" * 300,
            b"x-user-email": b"e" * 400,
        },
        None,
        KEY,
    )
    assert (caller.profile, caller.conversation_id) == (None, None)
