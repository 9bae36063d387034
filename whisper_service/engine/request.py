"""The messages between a session and an engine: a request about a window of audio, and its answer."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from whisper_service.audio.pcm import Samples

#: Windows of a stream whose starts differ by multiples of this (10 ms) share the spectrogram frames that are
#: known already.
STEP_SAMPLES = 160


class Kind(enum.IntEnum):
    """The purpose of a request. ``Scheduler`` decides how long each kind may wait."""

    #: The last request for an utterance: all words of the answer become final. Never replaced.
    FINAL = 0
    #: A request at a position of the session's grid: the words that the commit policy accepts become final.
    #: Never replaced.
    COMMIT = 1
    #: A request for a partial, text that is shown but not final. A newer request of the stream replaces it.
    DISPLAY = 2


@dataclass(frozen=True, slots=True)
class Word:
    """A word as the model heard it.

    :param text: with the leading space and the punctuation that its language writes.
    :param start: first sample on the stream's 16 kHz clock.
    :param end: the sample after the last one.
    :param attended: for each token of the word there is the sample that the model attended to most while it
        wrote the token; this is the latest of them.
    :param probability: mean probability of the word's tokens without those of its marks, 0…1.
    :param tokens: token ids of ``text``. A later request passes them as forced prefix or as draft.
    :param mark: the punctuation at the end of ``text``, such as "." or ',"'; "" if there is none.
    :param mark_tokens: number of tokens at the end of ``tokens`` that spell ``mark``.
    """

    text: str
    start: int
    end: int
    attended: int
    probability: float
    tokens: tuple[int, ...]
    mark: str = ""
    mark_tokens: int = 0

    @property
    def without_mark(self) -> Word:
        """The word without the mark at its end."""
        if not self.mark:
            return self
        text, tokens = self.text.removesuffix(self.mark), self.tokens[: -self.mark_tokens]
        return replace(self, text=text, tokens=tokens, mark="", mark_tokens=0)

    def after(self, before: Word) -> Word:
        """Return this word with the mark of ``before``, the previous word, at its beginning."""
        if not before.mark:
            return self
        tokens = before.tokens[-before.mark_tokens :] + self.tokens
        return replace(self, text=before.mark + self.text, tokens=tokens)


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A request to transcribe one window. The answer depends on its fields and the model alone.

    :param stream: the session that sends the request. Requests of one stream replace or follow each other.
    :param number: counts the requests of the stream. The answer has the same number.
    :param start: the window's first sample on the stream's 16 kHz clock.
    :param pcm: the window, mono float32 in [-1, 1] at 16 kHz, at most 30 s, ``(n_samples,)``.
    :param heard: the ends of the earlier COMMIT requests on this window, in order: the encoder goes on from
        them, and a COMMIT request adds its own end. None: the window is not the one with which the stream
        goes on.
    :param rough: whether such a window is encoded roughly: only its audio, before the silence of an empty
        window. Otherwise it is encoded as a whole.
    :param prompt: the client's hints for the model: names, spelling; "" for none.
    :param context: the text that was said before the window; "" for none.
    :param prefix: tokens of this window's text that are final. The answer continues after them.
    :param draft: a guess at the tokens after the prefix (from the last answer). It saves time and does not
        change the answer.
    :param language: two-letter code; None lets the engine detect the language.
    :param detect: whether the engine detects the language even if ``language`` is given. It still decodes in
        ``language``.
    :param task: ``transcribe`` or ``translate``.
    :param must_speak: whether the answer must have a word. Without a prefix it may not end at once anyway.
    :param timestamps: whether Whisper writes timestamps. They become no words, but guide it through long
        windows.
    :param beam_size: number of beams, 1 … 5; 1 is greedy decoding.
    """

    stream: str
    number: int
    kind: Kind
    start: int
    pcm: Samples
    heard: tuple[int, ...] | None = None
    rough: bool = False
    prompt: str = ""
    context: str = ""
    prefix: tuple[int, ...] = ()
    draft: tuple[int, ...] = ()
    language: str | None = None
    detect: bool = False
    task: str = "transcribe"
    must_speak: bool = False
    timestamps: bool = False
    beam_size: int = 1

    @property
    def end(self) -> int:
        """The sample after the window's last one."""
        return self.start + len(self.pcm)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The answer to the request of the same stream and number.

    :param words: the text after the request's prefix.
    :param language: code of the language of the decoding.
    :param detected: the most probable language if the engine detected it, else ``language``.
    :param language_probability: probability of ``detected``, 0…1; 1 if the engine detected nothing.
    :param no_speech_probability: Whisper's own estimate that the window holds no speech, 0…1.
    :param average_logprob: mean log-probability of the tokens after the prefix and of the token after them:
        the end of text, or the token at which the length limit cut the text off.
    """

    stream: str
    number: int
    words: tuple[Word, ...]
    language: str
    no_speech_probability: float
    average_logprob: float
    detected: str
    language_probability: float


class OutOfMemory(Exception):
    """The requests of a batch do not fit onto the device together; fewer may fit."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """The description of an engine. It stays the same as long as the engine lives.

    :param model: name of the checkpoint.
    :param languages: codes of the languages that the checkpoint knows.
    :param device: device that runs the model, such as ``cpu`` or ``cuda:0``.
    :param precision: number format of the weights, such as ``float32``.
    :param rough_word_times: whether word times come from all heads of the decoder's upper half, because
        nobody has chosen alignment heads for this model.
    :param warnings: sentences that every user of the model should see.
    :param timings: how long batches of given sizes took after loading, in seconds, the smallest first.
    """

    model: str
    languages: frozenset[str]
    device: str
    precision: str
    rough_word_times: bool = False
    warnings: tuple[str, ...] = ()
    timings: tuple[tuple[int, float], ...] = ((1, 0.1),)


class BatchRunner(Protocol):
    """Answers requests in the caller's thread. ``runner.Runner`` is the real one; tests use others."""

    def info(self) -> EngineInfo:
        """Return the description of the engine that runs the model."""

    @property
    def max_batch(self) -> int:
        """The largest number of requests that are worth answering in one batch."""

    def run_batch(self, requests: Sequence[Request]) -> Sequence[Hypothesis]:
        """Return the answers to ``requests``, in the same order, computed in one batch. Blocks.

        :raises OutOfMemory: if the batch does not fit onto the device.
        """

    def forget(self, stream: str) -> None:
        """Drop the data that is kept for ``stream``, which has ended."""
