"""NATS' client protocol, read and written."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from chassis.core_nats.wire import (
    MAX_LINE_BYTES,
    MAX_MESSAGE_BYTES,
    Message,
    Parser,
    ServerInfo,
    counted_bytes,
    publication,
    server_info,
    subscription,
    unsubscription,
)
from hypothesis import given
from hypothesis import strategies as st
from nats.errors import ProtocolError

type Sent = tuple[bytes, Message]

words = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=30)
payloads = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"\r\n", b"MSG a 1 3\r\n", b"PING\r\n", b"\r", b"\n", b"\0"])).map(b"".join),
)
header_values = st.text(
    st.characters(min_codepoint=0x20, exclude_characters="\x85\u2028\u2029", exclude_categories=["Cs"]), max_size=30
)
headers = st.dictionaries(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=":"), min_size=1, max_size=20),
    header_values,
    max_size=4,
)
header_blocks = st.one_of(
    st.just(b""),
    st.just(b"NATS/1.0 503\r\n\r\n"),
    headers.map(lambda each: "".join(["NATS/1.0\r\n", *(f"{n}: {v}\r\n" for n, v in each.items()), "\r\n"]).encode()),
)
messages = st.tuples(
    st.integers(1, 10**6).map(lambda number: str(number).encode()),
    st.builds(Message, subject=words, reply=st.one_of(st.just(""), words), payload=payloads, headers=header_blocks),
)


class Heard:
    """What a parser hands on, in order: messages as pairs, other lines as bytes."""

    def __init__(self) -> None:
        self.all: list[Sent | bytes] = []
        self.parser = Parser(lambda sid, message: self.all.append((sid, message)), self.all.append)


def as_a_server_sends(sid: bytes, message: Message) -> bytes:
    head = b" ".join(part for part in (message.subject.encode(), sid, message.reply.encode()) if part)
    body = message.headers + message.payload
    if message.headers:
        return b"HMSG %b %d %d\r\n%b\r\n" % (head, len(message.headers), len(body), body)
    return b"MSG %b %d\r\n%b\r\n" % (head, len(body), body)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(st.lists(st.one_of(messages, st.sampled_from([b"PING", b"PONG", b"+OK"])), max_size=8), st.lists(st.integers(0)))
def test_whatever_a_server_sends_arrives_in_order_however_it_is_cut(
    sent: list[Sent | bytes], places: list[int]
) -> None:
    data = b"".join(each + b"\r\n" if isinstance(each, bytes) else as_a_server_sends(*each) for each in sent)
    heard = Heard()
    for piece in cut(data, places):
        heard.parser.feed(piece)
    assert heard.all == sent


@given(messages, messages)
def test_a_message_is_handed_on_with_its_last_byte_and_not_before(first: Sent, second: Sent) -> None:
    heard = Heard()
    for byte in (data := as_a_server_sends(*first))[:-1]:
        heard.parser.feed(bytes([byte]))
    assert heard.all == []
    heard.parser.feed(data[-1:] + as_a_server_sends(*second)[:-1])
    assert heard.all == [first]


@given(words, payloads, st.one_of(st.just(""), words), st.one_of(st.none(), headers))
def test_what_is_published_says_the_same_to_its_reader(
    subject: str, payload: bytes, reply: str, given_headers: dict[str, str] | None
) -> None:
    published = publication(subject, payload, reply, given_headers)
    # A server passes it on so: another operation, the subscription's id after the subject, all else as it came.
    line, separator, body = published.partition(b"\r\n")
    operation, first, *rest = line.split()
    passed_on = operation.replace(b"PUB", b"MSG") + b" " + b" ".join([first, b"7", *rest]) + separator + body
    heard = Heard()
    heard.parser.feed(passed_on)
    ((sid, message),) = (each for each in heard.all if not isinstance(each, bytes))
    assert (sid, message.subject, message.reply, message.payload) == (b"7", subject, reply, payload)
    assert {name: message.header(name) for name in given_headers or {}} == {
        name: value.strip(" \t\r\n\v\f") for name, value in (given_headers or {}).items()
    }
    assert message.status == ""
    assert counted_bytes(published) == len(message.headers) + len(payload)


@pytest.mark.parametrize(
    ("subject", "reply"),
    [
        ("", ""),
        (" ", ""),
        ("two words", ""),
        ("ends.with ", ""),
        (" begins.with", ""),
        ("tab\tbed", ""),
        ("line\r\nPUB other 0", ""),
        ("line\r\n", ""),
        ("line\n", ""),
        ("\r\nPUB", ""),
        ("", "two words"),
        ("subject", "two words"),
        ("subject", " "),
        ("subject", "line\r\n"),
    ],
)
def test_a_subject_or_reply_that_is_not_one_word_is_refused(subject: str, reply: str) -> None:
    with pytest.raises(ValueError, match="one word"):
        publication(subject, b"", reply)
    with pytest.raises(ValueError, match="one word"):
        subscription(subject, b"1", reply)


@pytest.mark.parametrize("headers", [{"Name": "a\r\nOther: b"}, {"Name": "a\n"}, {"Na\rme": "a"}, {"\r\n": ""}])
def test_a_header_of_more_than_one_line_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="one line"):
        publication("subject", b"", headers=headers)


def test_a_subscription_names_its_group() -> None:
    assert subscription("orders.*", b"3") == b"SUB orders.* 3\r\n"
    assert subscription("orders.*", b"3", "workers") == b"SUB orders.* workers 3\r\n"
    assert unsubscription(b"3") == b"UNSUB 3\r\n"


@pytest.mark.parametrize(
    "line",
    [
        b"MSG a 1 -1",
        b"MSG a 1 x",
        b"MSG a 1 1e3",
        b"MSG a 1 %d" % (MAX_MESSAGE_BYTES + 1),
        b"MSG a 1 " + b"9" * 5_000,
        b"MSG a 1",
        b"MSG a",
        b"MSG ",
        b"MSG a 1 reply another 5",
        b"HMSG a 1 12",
        b"HMSG a 1 13 12",
        b"HMSG a 1 -1 12",
        b"HMSG a 1 x 12",
        b"HMSG a 1 reply another 1 5",
    ],
)
def test_a_message_of_nonsense_length_ends_the_reading(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        Heard().parser.feed(line + b"\r\n" + b"x" * 12 + b"\r\n")


def test_a_line_without_end_is_not_gathered_for_ever() -> None:
    heard = Heard()
    heard.parser.feed(b"x" * MAX_LINE_BYTES)
    with pytest.raises(ProtocolError):
        heard.parser.feed(b"x")
    assert heard.all == []


def test_a_message_longer_than_a_line_may_be_is_read() -> None:
    heard = Heard()
    payload = b"x" * (MAX_LINE_BYTES + 10)
    data = as_a_server_sends(b"1", Message("a", "", payload))
    for start in range(0, len(data), 200_000):
        heard.parser.feed(data[start : start + 200_000])
    assert heard.all == [(b"1", Message("a", "", payload))]


def test_a_subject_that_is_no_text_is_handed_on_all_the_same() -> None:
    heard = Heard()
    heard.parser.feed(b"MSG usage.\xff 1 reply.\xfe 2\r\nhi\r\nPING\r\n")
    assert heard.all == [(b"1", Message("usage.\ufffd", "reply.\ufffd", b"hi")), b"PING"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"NATS/1.0 503\r\n\r\n", "503"),
        (b"NATS/1.0 503\r\nNats-Subject: a\r\n\r\n", "503"),
        (b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 1\r\n\r\n", "408 Request Timeout"),
        (b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 3\r\n\r\n", "100 Idle Heartbeat"),
        (b"NATS/1.0\r\nNats-Msg-Id: u1\r\n\r\n", ""),
        (b"NATS/1.0\r\n\r\n", ""),
        (b"", ""),
    ],
)
def test_the_first_header_line_may_carry_a_status(headers: bytes, status: str) -> None:
    assert Message("a", "", b"", headers).status == status


def test_a_message_with_a_payload_is_no_status() -> None:
    assert Message("a", "", b"text", b"NATS/1.0 503\r\n\r\n").status == ""


def test_a_header_is_found_by_its_name_as_written() -> None:
    message = Message("a", "", b"", b"NATS/1.0 408 Late\r\nFirst: one \r\nempty:\r\nFirst: two\r\nUrl:nats://x\r\n\r\n")
    assert message.header("First") == "one"
    assert message.header("empty") == ""
    assert message.header("Url") == "nats://x"
    assert message.header("first") is None
    assert message.header("NATS/1.0 408 Late") is None
    assert Message("a", "", b"").header("First") is None


def test_a_server_tells_its_name_its_bound_and_its_cluster() -> None:
    text = (
        b' {"server_name": "n1", "max_payload": 4194304, "tls_required": true,'
        b' "connect_urls": ["10.0.0.1:4223", "[::1]:4224", "other"]} '
    )
    assert server_info(text) == ServerInfo(
        name="n1",
        max_payload_bytes=4_194_304,
        tls_required=True,
        addresses=(("10.0.0.1", 4223), ("::1", 4224), ("other", 4222)),
    )
    assert server_info(b"{}") == ServerInfo(max_payload_bytes=1_048_576)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nonsense",
        b"[]",
        b"5",
        b"null",
        b'"\xff"',
        b'{"max_payload": "much"}',
        b'{"max_payload": null}',
        b'{"max_payload": Infinity}',
        b'{"connect_urls": 5}',
        b'{"connect_urls": ["host:port"]}',
        b'{"connect_urls": [""]}',
    ],
)
def test_a_greeting_that_makes_no_sense_is_refused(text: bytes) -> None:
    with pytest.raises(ProtocolError):
        server_info(text)
