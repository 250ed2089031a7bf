"""Texts that come again are not counted again."""

import asyncio

from gateway.domain.model_families import Encoding
from gateway.tokenizers.counting import REMEMBERED_TEXTS, SLICE_CHARACTERS, RepeatedTexts, count_tokens
from gateway.tokenizers.encodings import token_counter


async def test_a_conversation_sent_again_counts_the_same() -> None:
    conversation = ["Olá! Quem é você?", "Sou um assistente. " * 40, "你好世界" * 30, "", "x" * 100_000]
    count = token_counter(Encoding.O200K)
    first = await count_tokens(conversation, Encoding.O200K)
    again = await count_tokens([*conversation, "Mais uma pergunta, bem comprida para ser lembrada."], Encoding.O200K)
    assert again - first == count("Mais uma pergunta, bem comprida para ser lembrada.")
    assert first >= sum(map(count, conversation))


async def test_others_have_their_turn_after_each_slice_of_a_long_text() -> None:
    text = " ".join(str(number) for number in range(20 * SLICE_CHARACTERS // 6))
    counting = asyncio.create_task(count_tokens([text], Encoding.O200K))
    turns = 0
    while not counting.done():
        await asyncio.sleep(0)
        turns += 1
    assert await counting > 0
    assert turns >= len(text) // SLICE_CHARACTERS


def test_a_text_is_counted_once_however_often_it_comes() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return len(text)

    texts = RepeatedTexts(count)
    assert [texts.count("a" * 50), texts.count("b" * 50), texts.count("a" * 50)] == [50, 50, 50]
    assert counted == ["a" * 50, "b" * 50]


def test_only_so_many_counts_are_kept_and_those_in_use_stay() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return 1

    texts = RepeatedTexts(count)
    in_use = "a prompt that everybody shares, of which there is one"
    for number in range(3 * REMEMBERED_TEXTS):
        texts.count(in_use)
        texts.count(f"a message that comes once and never again: {number:09}")
    assert counted.count(in_use) == 1
    assert texts.remembered <= 2 * REMEMBERED_TEXTS
