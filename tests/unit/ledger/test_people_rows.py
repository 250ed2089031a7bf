"""What people are sorted by changes with every call; what has an index of it changes seldom, and in the same order."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as some
from ledger.store.projected.people_tables import PEOPLE_SHAPES, about_moment, about_tokens

TOKENS = some.integers(0, 2**62)


@given(TOKENS, TOKENS)
def test_of_fewer_tokens_it_is_never_about_more(first: int, second: int) -> None:
    fewer, more = sorted((first, second))
    assert about_tokens(fewer) <= about_tokens(more)


@given(TOKENS)
def test_about_nothing_is_nothing_and_many_are_few_steps(tokens: int) -> None:
    assert (about_tokens(tokens) == 0) == (tokens == 0)
    assert about_tokens(tokens) <= tokens < about_tokens(tokens) * 17 / 16 + 8_192


def test_never_is_before_all_hours() -> None:
    at = datetime(2026, 3, 2, 12, 59, tzinfo=UTC)
    assert 0 == about_moment(None) < about_moment(at) < about_moment(at + timedelta(minutes=1))
    assert about_moment(at) == about_moment(at - timedelta(minutes=59))


def test_no_index_follows_what_every_call_changes() -> None:
    (people,) = PEOPLE_SHAPES
    named = {
        word
        for index in (*people.indexes, *people.indexes_of_readers)
        for word in index.replace("(", " ").replace(",", " ").split()
    }
    assert not named & {"monthly_used", "credits", "last_call_at"}
