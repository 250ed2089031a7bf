"""Streams, consumers and subjects fit together; request-reply stands outside every stream."""

import pytest
from contracts import subjects
from contracts.accounts import subject_token
from contracts.events.registry import LEDGER_EVENTS, USAGE_RECORDED
from contracts.topology import CONSUMERS, STREAMS


def matches(pattern: str, subject: str) -> bool:
    """NATS matching: `*` is one token, a last `>` one or more."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        return len(given) >= len(wanted) and all(
            want in ("*", got) for want, got in zip(wanted[:-1], given, strict=False)
        )
    return len(wanted) == len(given) and all(want in ("*", got) for want, got in zip(wanted, given, strict=True))


def streams_of(subject: str) -> list[str]:
    return [stream.name for stream in STREAMS if any(matches(pattern, subject) for pattern in stream.subjects)]


@pytest.mark.parametrize("name", LEDGER_EVENTS)
@pytest.mark.parametrize("account_id", ["person-1", "first.last", "user:1"])
def test_ledger_events_go_to_their_stream(name: str, account_id: str) -> None:
    assert streams_of(subjects.event_subject(name, subject_token(account_id))) == [subjects.LEDGER_STREAM]


def test_other_subjects_go_to_theirs() -> None:
    assert streams_of(subjects.event_subject(USAGE_RECORDED, "person-1")) == [subjects.USAGE_STREAM]
    assert streams_of(subjects.event_subject("billing.credits_purchased", "a")) == [subjects.BILLING_STREAM]
    assert streams_of(subjects.dead_letter("notifier", "notifier-ledger")) == [subjects.DEADLETTER_STREAM]


@pytest.mark.parametrize(
    "subject",
    [
        f"{subjects.RESERVE_PREFIX}.person-1",
        f"{subjects.READ_BALANCE_PREFIX}.person-1",
        f"{subjects.READ_PROFILE_PREFIX}.person-1",
        subjects.READ_READY,
    ],
)
def test_no_stream_answers_a_request(subject: str) -> None:
    assert streams_of(subject) == []


def test_every_consumer_reads_what_its_stream_keeps() -> None:
    streams = {stream.name: stream for stream in STREAMS}
    for consumer in CONSUMERS:
        for pattern in consumer.filter_subjects:
            sample = pattern.replace("*", "person-1")
            assert streams_of(sample) == [streams[consumer.stream].name]


def test_consumers_have_names_of_their_own() -> None:
    assert len({consumer.durable_name for consumer in CONSUMERS}) == len(CONSUMERS)


def test_every_stream_is_bounded() -> None:
    for stream in STREAMS:
        assert stream.max_age > 0
        assert stream.max_bytes > stream.max_msg_size > 0
        assert stream.duplicate_window <= stream.max_age
