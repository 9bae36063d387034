"""Decides in which language a stream is transcribed."""

from __future__ import annotations

from dataclasses import dataclass

from whisper_service.audio.pcm import SAMPLE_RATE

#: Speech that a detection needs before it counts: Whisper guesses on less.
_ENOUGH_SAMPLES = 2 * SAMPLE_RATE
#: The probability that another language needs to replace the one that was spoken so far. The first language
#: needs it to make less than 2 s of speech final at once. With base, of 116 beginnings of English sentences
#: of 0.6 to 1.4 s none was taken for another language with more than 0.6.
_SURE = 0.7
#: Below this probability a guess is no better than the language that most checkpoints know best.
_LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class Spoken:
    """The knowledge about a stream's language between two utterances.

    :param current: the language that was spoken last, or None if none is known.
    :param doubt: another language that the last utterances sounded like.
    :param doubtful_samples: how much speech sounded like ``doubt``, in samples.
    """

    current: str | None = None
    doubt: str | None = None
    doubtful_samples: int = 0


class LanguageLock:
    """Turns the languages that the model detects into one language for each utterance.

    The first language is locked after 2 s of speech. Every later utterance confirms it at once, or leaves
    doubt. Another language takes its place only if the model is sure of it after it has heard 2 s, counted
    with earlier utterances that left the same doubt. This happens before any word of the utterance is final.

    :param fixed: the language that the client has chosen, or None: it is detected.
    :param fallback: the language to take if none is likely when held utterances must wait no longer; None:
        take the likeliest all the same.
    :param spoken: the knowledge from the utterances before.
    :param settled: whether the stream goes on in an utterance whose language is certain.
    """

    def __init__(
        self,
        fixed: str | None,
        *,
        fallback: str | None = None,
        spoken: Spoken | None = None,
        settled: bool = False,
    ) -> None:
        spoken = spoken or Spoken()
        self._fallback = fallback
        self._fixed = fixed is not None
        #: The language to decode in; None: decode in the language that the model detects.
        self.current = fixed or spoken.current
        #: Whether the language of this utterance cannot change any more. Only then may hypotheses of the grid
        #: make words final.
        self.settled = self._fixed or settled
        self._doubt = spoken.doubt
        self._carried = spoken.doubtful_samples  # of earlier short utterances with the same doubt
        self._heard = 0
        # For each language, its highest probability in the utterances that are held back.
        self._evidence: dict[str, float] = {}

    def begin(self) -> None:
        """Take note that an utterance begins. The doubt from the utterance before still counts."""
        self._carried = self.spoken().doubtful_samples
        self._heard = 0
        self.settled = self._fixed

    def spoken(self) -> Spoken:
        """Return the knowledge at the end of an utterance. It is valid only if no utterance is held back."""
        heard = 0 if self.settled else self._heard
        return Spoken(None if self._fixed else self.current, self._doubt, self._carried + heard)

    def hear(self, language: str, probability: float, heard: int) -> None:
        """Take the result of a detection.

        :param heard: how much of the utterance after its pre-roll the model has heard, in samples.
        """
        if self.settled:
            return
        if language == self.current:
            self.settle(language)
            return
        if language != self._doubt:
            self._doubt, self._carried = language, 0
        self._heard = heard
        if self._carried + heard < _ENOUGH_SAMPLES:
            return
        keeps = self.current is not None and probability < _SURE
        self.settle(self.current if keeps else language)

    def is_unsure(self, probability: float) -> bool:
        """Return whether the language of an utterance that is over is a guess, and remember the guess.

        It is a guess if no language is known from before and the detected one is not sure.

        :param probability: the probability of the language that was detected in the whole utterance.
        """
        if self.settled or self.current is not None or probability >= _SURE:
            return False
        if self._doubt is not None:
            self._evidence[self._doubt] = max(self._evidence.get(self._doubt, 0.0), probability)
        return True

    def settle_on_likeliest(self) -> None:
        """Settle on the likeliest language of the utterances that were held back, or on the fallback."""
        if self.current is not None or not self._evidence:
            return
        likeliest = max(self._evidence, key=lambda language: self._evidence[language])
        self.settle(likeliest if self._evidence[likeliest] >= _LIKELY else self._fallback or likeliest)

    def settle(self, language: str | None) -> None:
        """Make ``language`` certain for this utterance. A repeated call with the same one changes nothing."""
        self.current, self.settled = language, True
        self._evidence.clear()
        self._doubt, self._carried = None, 0
