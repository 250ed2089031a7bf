"""The stream's watcher: what is relayed, what is hidden, what is counted, for every way in which bytes can arrive."""

import json
import tracemalloc
from itertools import pairwise

import pytest
from gateway.domain.event_stream import COMPACT_BYTES, MAX_EVENT_BYTES, EventStream
from gateway.domain.usage_figures import Figures
from hypothesis import given
from hypothesis import strategies as st

USAGE = {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}
METERED = Figures(prompt=20, completion=9)


def event(content: object, ending: str = "\n\n") -> bytes:
    return f"data: {json.dumps(content)}{ending}".encode()


def words(text: str) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": text}}]})


OPENAI_USAGE = event({"id": "x", "choices": [], "usage": USAGE})
LITELLM_USAGE = event({"id": "x", "choices": [{"index": 0, "delta": {}}], "usage": USAGE | {"cost": 0.5}})
DONE = b"data: [DONE]\n\n"


def watcher(*, hide: bool = True) -> EventStream:
    return EventStream(hide_usage_chunk=hide, count_tokens=lambda text: len(text.split()))


def relayed(stream: EventStream, pieces: list[bytes]) -> bytes:
    return b"".join([stream.feed(piece) for piece in pieces]) + stream.end()


def split_everywhere(data: bytes) -> list[list[bytes]]:
    return [[data[:at], data[at:]] for at in range(1, len(data))] + [[data[at : at + 1] for at in range(len(data))]]


def test_every_split_of_the_bytes_relays_the_same_and_finds_the_usage() -> None:
    for usage in (OPENAI_USAGE, LITELLM_USAGE):
        for pieces in split_everywhere(words("Olá 😀") + words(" there") + usage + DONE):
            stream = watcher()
            assert relayed(stream, pieces) == words("Olá 😀") + words(" there") + DONE
            assert stream.figures == METERED


def test_every_split_with_carriage_returns() -> None:
    kept = b": hello\r\n\r\n" + event({"choices": [{"delta": {"content": "a"}}]}, "\r\n\r\n")
    hidden = event({"choices": [], "usage": USAGE}, "\r\n\r\n")
    for pieces in split_everywhere(kept + hidden + b"data: [DONE]\r\n\r\n"):
        stream = watcher()
        assert relayed(stream, pieces) == kept + b"data: [DONE]\r\n\r\n"
        assert stream.figures == METERED


@given(st.data())
def test_any_split_of_any_events_relays_all_but_the_usage_chunk(data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.text(max_size=20), max_size=6))
    endings = data.draw(st.lists(st.sampled_from(["\n\n", "\r\n\r\n"]), min_size=len(texts), max_size=len(texts)))
    kept = b"".join(
        event({"choices": [{"delta": {"content": text}}], "usage": None}, ending)
        for text, ending in zip(texts, endings, strict=True)
    )
    whole = kept + OPENAI_USAGE + DONE
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=12)) | {0, len(whole)})
    stream = watcher()
    assert relayed(stream, [whole[start:end] for start, end in pairwise(cuts)]) == kept + DONE
    assert stream.figures == METERED


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_arbitrary_bytes_are_relayed_as_they_are(pieces: list[bytes]) -> None:
    assert relayed(watcher(), pieces) == b"".join(pieces)


def test_usage_chunk_is_relayed_to_who_asked_for_it() -> None:
    stream = watcher(hide=False)
    assert relayed(stream, [words("a") + OPENAI_USAGE + DONE]) == words("a") + OPENAI_USAGE + DONE
    assert stream.figures == METERED


def test_usage_that_comes_with_text_or_an_end_is_never_hidden() -> None:
    with_text = event({"choices": [{"delta": {"content": "last"}}], "usage": USAGE})
    with_end = event({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": USAGE})
    for kept in (with_text, with_end):
        stream = watcher()
        assert relayed(stream, [kept + DONE]) == kept + DONE
        assert stream.figures == METERED


def test_last_of_several_usages_counts() -> None:
    stream = watcher()
    relayed(
        stream,
        [event({"choices": [{"delta": {"content": "a"}}], "usage": USAGE | {"completion_tokens": 1}}), OPENAI_USAGE],
    )
    assert stream.figures == METERED


def test_text_that_looks_like_usage_is_text() -> None:
    trap = words('{"usage": {"prompt_tokens": 1}} and "error": {')
    stream = watcher()
    assert relayed(stream, [trap]) == trap
    assert stream.figures is None
    assert not stream.failed


def test_usage_object_inside_of_something_else_is_not_the_usage() -> None:
    nested = event({"choices": [], "x_vendor": {"usage": USAGE}})
    stream = watcher()
    assert relayed(stream, [nested]) == nested
    assert stream.figures is None


def test_absurd_usage_is_hidden_but_not_believed() -> None:
    stream = watcher()
    assert relayed(stream, [event({"choices": [], "usage": {"prompt_tokens": -1, "completion_tokens": -2}})]) == b""
    assert stream.figures is None


def test_error_inside_the_stream_is_noticed() -> None:
    failing = event({"error": {"message": "overloaded"}})
    stream = watcher()
    assert relayed(stream, [words("a"), failing]) == words("a") + failing
    assert stream.failed


def test_text_is_counted_also_when_it_comes_by_tool_calls_and_reasoning() -> None:
    stream = watcher()
    relayed(
        stream,
        [
            words("one two "),
            event({"choices": [{"delta": {"reasoning_content": "three "}}]}),
            event(
                {
                    "choices": [
                        {"delta": {"tool_calls": [{"id": "x", "function": {"name": "four ", "arguments": "{} "}}]}}
                    ]
                }
            ),
        ],
    )
    assert stream.output_tokens() == 5


def test_text_of_a_long_stream_is_counted_without_being_kept() -> None:
    stream = watcher()
    for _ in range(5_000):
        stream.feed(words("word "))
    assert sum(map(len, stream._uncounted)) <= COMPACT_BYTES
    assert stream.output_tokens() == 5_000


def test_event_without_an_end_is_handed_on_when_it_grows_too_long() -> None:
    stream = watcher()
    endless = b"data: " + b"x" * (MAX_EVENT_BYTES + 1)
    assert stream.feed(endless) == endless
    boundaries = [stream.at_boundary]
    assert stream.feed(b"\n\n" + OPENAI_USAGE) == b"\n\n"
    assert [*boundaries, stream.at_boundary] == [False, True]
    assert stream.figures == METERED


def test_half_an_event_is_kept_back_so_that_ours_may_be_written_before_it() -> None:
    stream = watcher()
    assert stream.feed(words("whole") + b"data: half") == words("whole")
    assert stream.at_boundary
    assert stream.feed(b" of it\n\n") == b"data: half of it\n\n"


def test_unfinished_usage_at_the_end_is_read_and_hidden() -> None:
    stream = watcher()
    assert relayed(stream, [words("a"), OPENAI_USAGE.rstrip()]) == words("a")
    assert stream.figures == METERED


def test_data_lines_without_blank_lines_are_handed_on_line_by_line() -> None:
    lines = [words("a").replace(b"\n\n", b"\n"), words(" b").replace(b"\n\n", b"\n")]
    usage, done = OPENAI_USAGE.replace(b"\n\n", b"\n"), b"data: [DONE]\n"
    for pieces in split_everywhere(b"".join(lines) + usage + done):
        stream = watcher()
        assert relayed(stream, pieces).replace(usage, b"") == b"".join(lines) + done
        assert stream.figures == METERED
        assert stream.output_tokens() == 2
    stream = watcher()
    assert stream.feed(lines[0]) + stream.feed(lines[1]) == b"".join(lines)


def test_data_of_several_lines_is_one_event() -> None:
    several = b'data: {"choices": [],\ndata: "usage":\ndata: {"prompt_tokens": 20, "completion_tokens": 9}}\n\n'
    for pieces in split_everywhere(words("a") + several + DONE):
        stream = watcher(hide=False)
        assert relayed(stream, pieces) == words("a") + several + DONE
        assert stream.figures == METERED


@given(st.data())
def test_long_event_is_read_like_any_other_however_it_is_split(data: st.DataObject) -> None:
    text = 'wörd \\ "x" \n 😀 ' * data.draw(st.integers(6_000, 9_000))
    ascii_only = data.draw(st.booleans())
    content = {"choices": [{"delta": {"content": text, "picture": "A" * 90_000}}], "usage": USAGE}
    whole = f"data: {json.dumps(content, ensure_ascii=ascii_only)}\n\n".encode() + DONE
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=12)) | {0, len(whole)})
    stream = watcher()
    assert relayed(stream, [whole[start:end] for start, end in pairwise(cuts)]) == whole
    assert stream.figures == METERED
    assert stream.output_tokens() == pytest.approx(len(text.split()), abs=40)


def test_memory_of_an_endless_event_is_bounded() -> None:
    stream = watcher()
    stream.feed(b'data: {"choices": [{"delta": {"content": "')
    tracemalloc.start()
    for _ in range(2_000):
        stream.feed(b"word " * 2_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 2**20
    stream.feed(b'"}}]}\n\n')
    assert stream.output_tokens() == pytest.approx(4_000_000, rel=0.01)


def test_stream_of_comments_or_empty_deltas_has_produced_nothing() -> None:
    nothing = b": hi\n\n" + event({"choices": [{"delta": {"role": "assistant", "content": ""}}]}) + DONE
    stream = watcher()
    assert relayed(stream, [nothing]) == nothing
    assert not stream.produced
    stream.feed(event({"choices": [{"delta": {"images": [{"url": "x"}]}}]}))
    assert stream.produced
