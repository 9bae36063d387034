"""Gates against phantom words and loops, for any language: they choose the words that can be believed.

Sources: ``whisper.transcribe`` (Radford et al. 2022, section 4.5) for silence and compression;
Polák et al. 2023 and the AlignAtt decoders built on it for attention that runs back.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from whisper_service.audio.pcm import SAMPLE_RATE
from whisper_service.engine.request import Hypothesis, Word
from whisper_service.session.commit import normalise

#: Pairs of a no-speech probability and an average log-probability. A window holds no speech if the model's
#: no-speech probability is above the first and its average log-probability is below the second. The worse
#: the model guesses the words, the lower the first may be. The first pair is Whisper's own. With tiny.en and
#: base, the last hypothesis of each of 69 utterances of human talks has a no-speech probability of 0.22 at
#: most; babble, cafés and music have 0.3 to 0.8.
_NO_SPEECH = ((0.6, -1.0), (0.3, -1.2), (0.2, -1.6))
#: Words that the model had to write after it had written none (``Request.must_speak``) are guesses below this
#: average log-probability: nobody spoke. Single recorded digits have -0.6 to -0.1, and noises less than -0.8.
_GUESS_LOGPROB = -0.8
#: Otherwise they count if the first has at least this probability. Babble and misled models have less.
_SURE_FIRST_WORD = 0.3
#: Text that compresses better than this repeats itself (``whisper.transcribe``'s threshold).
_COMPRESSION_RATIO = 2.4
#: How often a phrase must be said in a row to look like a loop, by its number of words. People say one word
#: several times, but hardly a phrase.
_LOOP_RUNS = {1: 6, 2: 4}
_LOOP_RUNS_OF_PHRASES = 3
_LONGEST_PHRASE = 12
#: Nobody says a word in less than 60 ms, but a decoder in a loop hurries.
_LEAST_WORD_SAMPLES = 6 * SAMPLE_RATE // 100
#: Attention wavers, so only this share of the words must advance that far.
_ADVANCING_SHARE = 0.8
#: Speech runs forward. Attention that jumps back further than this belongs to a repetition.
_REWIND_SAMPLES = 4 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Belief:
    """The words that can be believed, and why the others cannot.

    :param reason: why some words cannot be believed, for the log; "" if all can.
    :param repeats: whether the reason is that the model repeats itself.
    :param guesses: whether the reason is that the model only guesses, because nobody spoke.
    """

    words: tuple[Word, ...]
    reason: str = ""
    repeats: bool = False
    guesses: bool = False

    @property
    def says(self) -> bool:
        """Whether there are words. Marks alone are none: after a look-back the model may write only these."""
        return any(char.isalnum() for word in self.words for char in word.text)


def believe(answer: Hypothesis, start: int = 0, *, asked_to_speak: bool = False) -> Belief:
    """Return the words of ``answer`` that can be believed.

    :param start: the first sample of the speech of these words. Attention well before it has jumped back.
    :param asked_to_speak: whether the model had to write a word (``Request.must_speak``). Then all words
        count, or none.
    """
    if not answer.words:
        return Belief(())
    belief = _believe(answer, start)
    if not asked_to_speak:
        return belief
    if answer.average_logprob < _GUESS_LOGPROB:
        return Belief((), "the model guesses", guesses=True)
    if answer.words[0].probability < _SURE_FIRST_WORD:
        return Belief((), "the first word is a guess")
    return replace(belief, words=()) if belief.reason else belief


def _believe(answer: Hypothesis, start: int) -> Belief:
    words = answer.words
    if any(
        answer.no_speech_probability > probability and answer.average_logprob < logprob
        for probability, logprob in _NO_SPEECH
    ):
        return Belief((), f"no speech (probability {answer.no_speech_probability:.2f})")
    texts = [normalise(word.text) for word in words]
    repeated: set[int] = set()
    for loop in loops(texts):
        if not _advances(words, loop):
            return Belief(words[: loop.begin], f"a loop behind word {loop.begin}", repeats=True)
        repeated.update(range(loop.begin, loop.end))
    rewind = _rewind(words, start)
    if rewind is not None:
        return Belief(words[:rewind], f"attention runs back at word {rewind}", repeats=True)
    # Words that a person really repeated would raise the ratio, but say nothing about the rest.
    once = "".join(word.text for index, word in enumerate(words) if index not in repeated)
    ratio = compression_ratio(once)
    if ratio > _COMPRESSION_RATIO:
        return Belief((), f"the text repeats itself (compression ratio {ratio:.1f})", repeats=True)
    return Belief(words)


def repeats(words: Sequence[Word]) -> bool:
    """Return whether the words repeat a phrase often enough for a loop, whoever repeats it."""
    return any(True for _ in loops([normalise(word.text) for word in words]))


class Loop(NamedTuple):
    """The words ``[begin, end)``. Each of them equals the word ``length`` words before it."""

    begin: int
    end: int
    length: int


def loops(words: Sequence[str]) -> Iterator[Loop]:
    """Yield the repeated phrases that are long enough for a loop, each from its second occurrence on."""
    covered = 0
    for length in range(1, min(_LONGEST_PHRASE, len(words) // 2) + 1):
        least = length * (_LOOP_RUNS.get(length, _LOOP_RUNS_OF_PHRASES) - 1)
        begin = length
        for index in range(length, len(words) + 1):
            if index < len(words) and words[index] == words[index - length]:
                continue
            if index - begin >= least and index > covered:
                covered = index
                yield Loop(begin, index, length)
            begin = index + 1


def _advances(words: Sequence[Word], loop: Loop) -> bool:
    """Return whether the words of ``loop`` are read off later and later places of the audio.

    Text alone proves nothing: people count, cheer and spell. A person who repeats words takes time for each
    of them. A decoder that is caught in a loop attends to one place, or to any place.
    """
    steps = [
        words[index].attended - words[index - loop.length].attended for index in range(loop.begin, loop.end)
    ]
    least = loop.length * _LEAST_WORD_SAMPLES
    return sum(step >= least for step in steps) >= _ADVANCING_SHARE * len(steps)


def compression_ratio(text: str) -> float:
    """Return the factor by which zlib shortens ``text`` (``whisper.utils.compression_ratio``)."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def _rewind(words: Sequence[Word], start: int) -> int | None:
    """Return the index of the first word whose audio lies long before that of an earlier word, or None."""
    furthest = max(start, words[0].attended)
    for index, word in enumerate(words):
        if furthest - word.attended > _REWIND_SAMPLES:
            return index
        furthest = max(furthest, word.attended)
    return None
