"""Words from the decoded tokens of a window: their text, times, probabilities and marks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np

from whisper_service.audio.pcm import Samples
from whisper_service.engine.request import Request, Word
from whisper_service.model.decoding.alignment import token_frames
from whisper_service.model.decoding.spoken import Spoken
from whisper_service.model.decoding.vocabulary import Vocabulary
from whisper_service.model.network.encoder import SAMPLES_PER_POSITION


def words_of(
    request: Request, said: Spoken, scores: Samples, vocabulary: Vocabulary, language: str
) -> tuple[Word, ...]:
    """Return the words that ``said`` spells in ``language``.

    :param scores: ``said.scores`` on the host.
    """
    prefix, pcm = len(request.prefix), request.pcm
    begins, attended = token_frames(scores)
    times = _TokenTimes(
        begins=(request.start + np.minimum(begins[prefix:] * SAMPLES_PER_POSITION, pcm.shape[0])).tolist(),
        attended=(request.start + attended[prefix:] * SAMPLES_PER_POSITION).tolist(),
    )
    texts, ids = vocabulary.split(said.tokens, language)
    return merge_punctuation(_read_words(texts, ids, times, said.logprobs))


@dataclass(frozen=True, slots=True)
class _TokenTimes:
    """The positions of each token on the stream's clock, with one more entry for the end of the text.

    :param begins: the sample at which the token begins.
    :param attended: the sample that the model attended to most when it chose the token.
    """

    begins: list[int]
    attended: list[int]


def _read_words(
    texts: Sequence[str], ids: Sequence[Sequence[int]], times: _TokenTimes, logprobs: Sequence[float]
) -> list[Word]:
    edges = accumulate((len(word) for word in ids), initial=0)
    return [
        Word(
            text=text,
            start=times.begins[begin],
            end=times.begins[end],
            attended=max(times.attended[begin:end]),
            probability=sum(map(math.exp, logprobs[begin:end])) / (end - begin),
            tokens=tuple(word),
        )
        for text, word, (begin, end) in zip(texts, ids, pairwise(edges), strict=True)
    ]


_OPENING = "\"'“¿([{-"
_CLOSING = frozenset("\"'.。,，!！?？:：”)]}、")


def merge_punctuation(words: Sequence[Word]) -> tuple[Word, ...]:
    """Return the words, each joined with its marks (whisper/timing.py, ``merge_punctuations``).

    A mark after the last word of the prefix goes to the beginning of the next word: the prefix cannot change.
    """
    merged: list[Word] = []
    opens = False  # whether the next word is joined to the last one
    for word in words:
        closes = _closes(word.text)
        if merged and opens:
            last = merged[-1]
            merged[-1] = replace(word, text=last.text + word.text, tokens=last.tokens + word.tokens)
        elif merged and closes:
            last = merged[-1]
            merged[-1] = replace(
                last,
                text=last.text + word.text,
                tokens=last.tokens + word.tokens,
                mark=last.mark + word.text,
                mark_tokens=last.mark_tokens + len(word.tokens),
            )
        else:
            merged.append(word)
        opens = _opens(merged[-1].text)
    return tuple(merged)


def _closes(text: str) -> bool:
    """Return whether ``text`` is a mark after a word."""
    return not text.startswith(" ") and _CLOSING.issuperset(text)


def _opens(text: str) -> bool:
    """Return whether the next word is joined to ``text``: an opening mark, or a mark after the prefix."""
    return (text.startswith(" ") and text.strip() in _OPENING) or _closes(text)
