"""What of a hypothesis can be believed: gates against phantom words and loops, in no language in particular.

Sources: ``whisper.transcribe`` (Radford et al. 2022, section 4.5) for silence and compression;
Polák et al. 2023 and the AlignAtt decoders built on it for attention that runs back.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from whisper_service.audio.pcm import SAMPLE_RATE
from whisper_service.engine.request import Hypothesis, Word
from whisper_service.session.commit import normalise

#: Whisper's rule for a window without speech: it believes so itself, and its words are guesses.
_NO_SPEECH_PROBABILITY = 0.6
_NO_SPEECH_LOGPROB = -1.0
#: Text that compresses better than this repeats itself (``whisper.transcribe``'s threshold).
_COMPRESSION_RATIO = 2.4
#: A run of the same words this often is a loop; people say one word several times, but hardly a phrase.
_LOOP_RUNS = {1: 6, 2: 4}
_LOOP_RUNS_OF_PHRASES = 3
_LONGEST_PHRASE = 12
#: Speech runs forward: attention that jumps back this far belongs to a repetition.
_REWIND_SAMPLES = 4 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Belief:
    """The words that can be believed, and why the others cannot.

    :param reason: for the log; "" if all can be.
    """

    words: tuple[Word, ...]
    reason: str = ""


def believe(answer: Hypothesis) -> Belief:
    """Return what of ``answer`` can be believed."""
    words = answer.words
    if not words:
        return Belief(())
    if answer.no_speech_probability > _NO_SPEECH_PROBABILITY and answer.average_logprob < _NO_SPEECH_LOGPROB:
        return Belief((), f"no speech (probability {answer.no_speech_probability:.2f})")
    loop = loop_start([normalise(word.text) for word in words])
    if loop is not None:
        return Belief(words[:loop], f"a loop behind word {loop}")
    rewind = _rewind(words)
    if rewind is not None:
        return Belief(words[:rewind], f"attention runs back at word {rewind}")
    ratio = compression_ratio("".join(word.text for word in words))
    if ratio > _COMPRESSION_RATIO:
        return Belief((), f"the text repeats itself (compression ratio {ratio:.1f})")
    return Belief(words)


def loop_start(words: Sequence[str]) -> int | None:
    """Return how many words there are up to the end of the first run of a loop, None if there is no loop."""
    for length in range(1, min(_LONGEST_PHRASE, len(words) // 2) + 1):
        most = _LOOP_RUNS.get(length, _LOOP_RUNS_OF_PHRASES)
        same = 0
        for index in range(length, len(words)):
            same = same + 1 if words[index] == words[index - length] else 0
            if same == length * (most - 1):
                return index + 1 - same
    return None


def compression_ratio(text: str) -> float:
    """Return by how much zlib shortens ``text`` (``whisper.utils.compression_ratio``)."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def _rewind(words: Sequence[Word]) -> int | None:
    furthest = words[0].attended
    for index, word in enumerate(words):
        if furthest - word.attended > _REWIND_SAMPLES:
            return index
        furthest = max(furthest, word.attended)
    return None
