"""Purchase links: one account, until they end, under any key that is known, and nothing else."""

import hmac
import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from contracts.purchase_links import (
    MAX_TOKEN_LENGTH,
    ExpiredLinkError,
    ForeignLinkError,
    link_with_token,
    read_purchase_link,
    sign_purchase_link,
)
from hypothesis import given as for_all
from hypothesis import strategies as st

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
SOON = NOW + timedelta(hours=24)
KEY = b"the-key-that-signs-links-today"
OLD_KEY = b"the-key-that-signed-until-now"
ANA = "507f1f77bcf86cd799439011"

account_ids = st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True)
keys = st.binary(min_size=16, max_size=64)
moments = st.datetimes(datetime(1970, 1, 1), datetime(2105, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  the strategy adds the zone


@for_all(account_ids, moments, keys)
def test_a_link_names_its_account_until_it_ends_and_not_after(account: str, expires_at: datetime, key: bytes) -> None:
    token = sign_purchase_link(account, expires_at, key)
    whole = expires_at.replace(microsecond=0)
    assert read_purchase_link(token, [key], whole - timedelta(microseconds=1)) == account
    with pytest.raises(ExpiredLinkError):
        read_purchase_link(token, [key], whole)


@for_all(account_ids, moments)
def test_a_link_passes_a_query_markdown_and_the_end_of_a_line_unharmed(account: str, expires_at: datetime) -> None:
    token = sign_purchase_link(account, expires_at, KEY)
    assert re.fullmatch(r"[A-Za-z0-9._:-]+[0-9a-f]", token)
    assert len(token) <= MAX_TOKEN_LENGTH
    link = link_with_token("https://shop.example/buy", token)
    assert parse_qs(urlsplit(link).query) == {"t": [token]}


def test_a_link_for_a_person_of_librechat_is_short() -> None:
    assert len(sign_purchase_link(ANA, SOON, KEY)) == 60


def test_the_token_joins_the_pages_own_parameters() -> None:
    assert link_with_token("https://shop.example/tokens?from=chat#top", "a.b") == (
        "https://shop.example/tokens?from=chat&t=a.b#top"
    )


def test_every_key_that_is_known_is_believed_and_no_other() -> None:
    token = sign_purchase_link(ANA, SOON, OLD_KEY)
    assert read_purchase_link(token, [KEY, OLD_KEY], NOW) == ANA
    for others in ([KEY], [], [b""]):
        with pytest.raises(ForeignLinkError):
            read_purchase_link(token, others, NOW)


def test_two_keys_with_the_same_id_are_both_tried() -> None:
    def key_id(key: bytes) -> str:
        return sign_purchase_link(ANA, SOON, key)[-12:-8]

    seen: dict[str, bytes] = {}
    for number in range(100_000):
        key = f"a key that nobody guesses {number}".encode()
        if (twin := seen.setdefault(key_id(key), key)) != key:
            break
    else:
        pytest.fail("no twins among 65,536 ids")
    for signer in (key, twin):
        assert read_purchase_link(sign_purchase_link(ANA, SOON, signer), [key, twin], NOW) == ANA
    with pytest.raises(ForeignLinkError):
        read_purchase_link(sign_purchase_link(ANA, SOON, key), [twin], NOW)


@for_all(st.data(), account_ids)
def test_a_link_that_was_changed_anywhere_is_not_ours(data: st.DataObject, account: str) -> None:
    token = sign_purchase_link(account, SOON, KEY)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("abfAZ09._:-").filter(lambda character: character != token[at]))
    kinds = [token[:at] + other + token[at + 1 :], token[:at] + other + token[at:], token[:at] + token[at + 1 :]]
    for changed in kinds:
        if changed != token:  # to leave out one of two that are the same changes nothing
            with pytest.raises(ForeignLinkError):
                read_purchase_link(changed, [KEY], NOW)


@for_all(st.text())
def test_nothing_that_somebody_thinks_up_is_a_link(text: str) -> None:
    with pytest.raises(ForeignLinkError):
        read_purchase_link(text, [KEY], NOW)


@pytest.mark.parametrize("prefix", ["", "ana"])
@pytest.mark.parametrize(
    "hostile",
    ["", ".", "..", "\0", "." * 10_000_000, "a" * 10_000_000, "٣" * 40, "é.b.c", "a\n", "%2e", "\ud800", "ana.x.y"],
    ids=lambda text: ascii(text[:10]),
)
def test_hostile_texts_are_refused_at_once(prefix: str, hostile: str) -> None:
    with pytest.raises(ForeignLinkError):
        read_purchase_link(prefix + hostile, [KEY], NOW)


@pytest.mark.parametrize("around", ["{} ", " {}", "{}\n", "{}.", "{}=", "{}\0"])
def test_a_link_is_read_as_it_was_made_and_not_otherwise(around: str) -> None:
    with pytest.raises(ForeignLinkError):
        read_purchase_link(around.format(sign_purchase_link(ANA, SOON, KEY)), [KEY], NOW)


def test_the_last_bits_of_the_mac_cannot_be_written_in_two_ways() -> None:
    """22 characters of base64 carry 132 bits, of which the MAC has 128: a decoder takes four spellings for one."""
    account, mac, end = sign_purchase_link(ANA, SOON, KEY).split(".")
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        token = f"{account}.{mac[:-1]}{last}.{end}"
        if last != mac[-1]:
            with pytest.raises(ForeignLinkError):
                read_purchase_link(token, [KEY], NOW)


def test_another_mac_of_the_same_key_over_the_same_facts_is_no_link() -> None:
    """Whoever uses the key for something else, or gets something else signed with it, has no link by that."""
    account, _, end = sign_purchase_link(ANA, SOON, KEY).split(".")
    expiry = end[4:]
    for purpose in (b"", b"solaris", b"solaris sign-in link v1", b"solaris purchase link v2"):
        for content in (
            b"\0".join((purpose, account.encode(), expiry.encode())),
            purpose + f"{account}.{expiry}".encode(),
            purpose + f"{account}{expiry}".encode(),
        ):
            mac = urlsafe_b64encode(hmac.digest(KEY, content, "sha256")[:16]).decode().rstrip("=")
            with pytest.raises(ForeignLinkError):
                read_purchase_link(f"{account}.{mac}.{end}", [KEY], NOW)


def test_only_what_we_made_is_said_to_have_expired() -> None:
    """Else whoever forges learns which of his forgeries are well made."""
    expired = sign_purchase_link(ANA, NOW - timedelta(days=1), b"somebody else's key")
    with pytest.raises(ForeignLinkError):
        read_purchase_link(expired, [KEY], NOW)


@pytest.mark.parametrize("account", ["", "a b", "a/b", "x" * 129, "é", "a\0b", "a&t=b"])
def test_nothing_is_signed_for_what_is_no_account(account: str) -> None:
    with pytest.raises(ValueError, match="account id"):
        sign_purchase_link(account, SOON, KEY)


@pytest.mark.parametrize("year", [1969, 2107])
def test_nothing_is_signed_for_a_time_that_a_token_can_not_tell(year: int) -> None:
    with pytest.raises(ValueError, match="between"):
        sign_purchase_link(ANA, NOW.replace(year=year), KEY)
