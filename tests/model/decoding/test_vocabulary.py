"""The tokens before the text: prompt, context and start sequence."""

from __future__ import annotations

import pytest
import whisper
from whisper.model import Whisper

from whisper_service.model.decoding.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def multilingual() -> Vocabulary:
    return Vocabulary(Whisper(whisper.ModelDimensions(80, 10, 8, 1, 1, 51865, 448, 8, 1, 1)))


@pytest.mark.parametrize(
    ("task", "expected"),
    [("transcribe", [50258, 50261, 50359, 50363]), ("translate", [50258, 50261, 50358, 50363])],
)
def test_the_start_sequence_names_language_and_task(
    multilingual: Vocabulary, task: str, expected: list[int]
) -> None:
    tokenizer = multilingual.tokenizer("de", task)
    assert multilingual.head(tokenizer, "", "") == expected


def test_prompt_then_context_then_start(multilingual: Vocabulary) -> None:
    tokenizer = multilingual.tokenizer("en", "transcribe")
    head = multilingual.head(tokenizer, "Names: Weiß.", " and so on")
    assert head[0] == tokenizer.sot_prev
    assert tokenizer.decode(head[1:-4]) == " Names: Weiß. and so on"


def test_a_long_prompt_leaves_room_for_the_context(multilingual: Vocabulary) -> None:
    tokenizer = multilingual.tokenizer("en", "transcribe")
    head = multilingual.head(tokenizer, "no " * 900, " and so on")
    assert len(head) == 448 // 2 + 4
    assert tokenizer.decode(head[1:-4]).endswith(" no and so on")


def test_a_long_context_leaves_room_for_the_prompt(multilingual: Vocabulary) -> None:
    tokenizer = multilingual.tokenizer("en", "transcribe")
    head = multilingual.head(tokenizer, "Names: Weiß.", " no" * 900)
    assert tokenizer.decode(head[1:-4]).startswith(" Names: Weiß. no no")
    assert len(head) < 448 // 2


def test_special_tokens_in_a_prompt_are_text(multilingual: Vocabulary) -> None:
    tokenizer = multilingual.tokenizer("en", "transcribe")
    head = multilingual.head(tokenizer, "<|endoftext|>", "<|de|>")
    assert all(token < tokenizer.eot for token in head[1:-4])


@pytest.mark.parametrize("prefix", [0, 150, 230, 400, 440])
def test_a_long_prefix_leaves_less_room_for_the_prompt(multilingual: Vocabulary, prefix: int) -> None:
    tokenizer = multilingual.tokenizer("de", "transcribe")
    head = multilingual.head(tokenizer, "no " * 900, " and so on", prefix=prefix)
    assert len(head) + prefix < 448
    assert len(head) == min(448 - prefix - 1, 224 + 4)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", " It's twenty-one o'clock, isn't it? \u201cYes,\u201d he said (softly)..."),
        ("de", " Größere Bärenjagd \u2013 übermäßig"),
        ("ja", "今日は\U0001f600いい天気"),
        ("zh", "今天天气很好。"),
        ("en", "no space 😀 at first"),
        ("en", " a \ufffd mark"),
        ("en", ""),
    ],
)
def test_words_are_split_as_whisper_splits_them(multilingual: Vocabulary, language: str, text: str) -> None:
    tokenizer = multilingual.tokenizer(language, "transcribe")
    tokens = tokenizer.encode(text)
    for count in range(len(tokens) + 1):  # the last character may be incomplete
        expected = tokenizer.split_to_word_tokens(tokens[:count])
        assert multilingual.split(tokens[:count], language) == tuple(expected)
