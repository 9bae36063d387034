"""What crosses between a session and an engine: a question about a window of audio, and its answer."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from whisper_service.audio.pcm import Samples

#: Windows that begin at a multiple of this share what the engine has computed for their stream: 10 ms.
STEP_SAMPLES = 160


class Kind(enum.IntEnum):
    """Why a request is asked; the smaller value goes first."""

    #: The last word on an utterance: everything in the answer becomes final. Never dropped.
    FINAL = 0
    #: A position of the grid: what agrees with the answer before becomes final. Never dropped.
    COMMIT = 1
    #: Shows a partial and changes nothing else. A newer request of the same stream replaces it.
    DISPLAY = 2


@dataclass(frozen=True, slots=True)
class Word:
    """A word as it was heard.

    :param text: with the leading space and the punctuation that its language writes.
    :param start: first sample on the stream's 16 kHz clock.
    :param end: sample behind the last one.
    :param attended: the sample that the model attended to most while it wrote the word (its last token).
    :param probability: mean probability of its tokens, 0…1.
    :param tokens: the ids that spell it; a later request passes them as forced prefix or as draft.
    :param mark: the end of ``text`` that is punctuation alone, such as "." or ',"'; "" for none.
    :param mark_tokens: how many of the last tokens spell that.
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
    def bare(self) -> Word:
        """The word without the mark after it."""
        if not self.mark:
            return self
        text, tokens = self.text.removesuffix(self.mark), self.tokens[: -self.mark_tokens]
        return replace(self, text=text, tokens=tokens, mark="", mark_tokens=0)

    def after(self, before: Word) -> Word:
        """Return this word with the mark of the word before it at its beginning."""
        if not before.mark:
            return self
        tokens = before.tokens[-before.mark_tokens :] + self.tokens
        return replace(self, text=before.mark + self.text, tokens=tokens)


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A question about one window: a pure function of its content, so that any engine may answer it.

    :param stream: the session that asks; requests of one stream replace or follow each other.
    :param number: counts the requests of the stream; the answer carries it back.
    :param start: the window's first sample on the stream's 16 kHz clock.
    :param pcm: the window, mono float32 in [-1, 1] at 16 kHz, at most 30 s, ``(n_samples,)``.
    :param prompt: what the client wants the model to know: names, spelling; "" for none.
    :param context: what was said before the window; "" for none.
    :param prefix: tokens of this window's text that are final: the answer continues behind them.
    :param draft: what the text behind the prefix may be (the last answer). It saves time and changes nothing.
    :param language: two-letter code, or None: the engine detects it.
    :param detect: have the language detected also where one is given; that one is decoded in.
    :param task: ``transcribe`` or ``translate``.
    :param timestamps: have Whisper write them; they become no words, but lead it through long windows.
    :param beam_size: texts that are followed at once, 1 … 5; 1 is greedy.
    :param fallback: draw texts by chance, ever more freely, where the likeliest repeats itself or is
        improbable.
    """

    stream: str
    number: int
    kind: Kind
    start: int
    pcm: Samples
    prompt: str = ""
    context: str = ""
    prefix: tuple[int, ...] = ()
    draft: tuple[int, ...] = ()
    language: str | None = None
    detect: bool = False
    task: str = "transcribe"
    timestamps: bool = False
    beam_size: int = 1
    fallback: bool = False

    @property
    def end(self) -> int:
        """The sample behind the window's last."""
        return self.start + len(self.pcm)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The answer to the request of the same stream and number.

    :param words: the text behind the request's prefix.
    :param language: the code that was used to decode.
    :param detected: the most probable language where the request wanted that, else ``language``.
    :param language_probability: how probable that is, 0…1; 1 where nothing was detected.
    :param no_speech_probability: Whisper's own estimate that the window holds no speech, 0…1.
    :param average_logprob: mean log-probability of the new tokens and the end of text.
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
    """So many requests do not fit onto the device together; fewer may."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says about itself. It stays the same as long as the engine lives.

    :param model: name of the checkpoint.
    :param languages: codes that the checkpoint knows.
    :param device: where it computes, such as ``cpu`` or ``cuda:0``.
    :param precision: what its weights are kept in, such as ``float32``.
    :param times_roughly: whether words are timed by attention heads that nobody has chosen for this model.
    :param warnings: sentences that every user of the model should see.
    """

    model: str
    languages: frozenset[str]
    device: str
    precision: str
    times_roughly: bool = False
    warnings: tuple[str, ...] = ()


class Runs(Protocol):
    """Answers requests in the caller's thread. ``runner.Runner`` is the real one; tests have others."""

    def info(self) -> EngineInfo:
        """Return what the model is."""

    @property
    def most(self) -> int:
        """How many requests it is worth to answer together, at most."""

    def run_batch(self, requests: Sequence[Request]) -> Sequence[Hypothesis]:
        """Answer requests together, in their order. Blocks.

        :raises OutOfMemory: if they are too many.
        """

    def forget(self, stream: str) -> None:
        """Drop what is kept of ``stream``: it is gone."""
