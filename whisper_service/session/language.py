"""Which language a stream is transcribed in."""

from __future__ import annotations

from dataclasses import dataclass

from whisper_service.audio.pcm import SAMPLE_RATE

#: Speech that a detection must have heard before it counts: Whisper guesses on less.
_ENOUGH_SAMPLES = 2 * SAMPLE_RATE
#: How probable another language must be before it replaces the one that was spoken so far, and the first one
#: to make less than 2 s of speech final at once. With base, of 116 beginnings of English sentences of 0.6 to
#: 1.4 s none was taken for another language with more than 0.6.
_SURE = 0.7
#: Below this a guess is no better than the language that most checkpoints know best.
_LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class Spoken:
    """What is known of a stream's language between two utterances.

    :param current: the language that was spoken last, or None if none is known.
    :param doubt: another language that the last utterances sounded like.
    :param doubtful_samples: speech that sounded like it, in samples.
    """

    current: str | None = None
    doubt: str | None = None
    doubtful_samples: int = 0


class LanguageLock:
    """Turns what the model detects into one language for each utterance.

    The first language is locked after 2 s of speech. Every later utterance confirms it at once, or leaves
    doubt; only where 2 s of doubtful speech in a row are for one other language, surely so, that one takes
    its place, before any word of the utterance is final.

    :param fixed: the language that the client has chosen, or None: it is detected.
    :param fallback: the language of a stream that ends before one is likely; None: the likeliest all the
        same.
    :param spoken: what is known from the utterances before.
    """

    def __init__(
        self, fixed: str | None, *, fallback: str | None = None, spoken: Spoken | None = None
    ) -> None:
        spoken = spoken or Spoken()
        self._fallback = fallback
        self._fixed = fixed is not None
        #: The language to decode in; None: in the language that the model detects.
        self.current = fixed or spoken.current
        #: Whether the language of this utterance cannot change any more, so that words may become final.
        self.settled = self._fixed
        self._doubt = spoken.doubt
        self._carried = spoken.doubtful_samples  # of earlier short utterances for the same doubt
        self._heard = 0
        self._evidence: dict[str, float] = {}  # of utterances that were held back

    def begin(self) -> None:
        """Take note that an utterance begins. The doubt that the one before has left counts on."""
        self._carried = self.spoken().doubtful_samples
        self._heard = 0
        self.settled = self._fixed

    def spoken(self) -> Spoken:
        """Return what is known at the end of an utterance, if none is held back."""
        heard = 0 if self.settled else self._heard
        return Spoken(None if self._fixed else self.current, self._doubt, self._carried + heard)

    def hear(self, language: str, probability: float, heard: int) -> None:
        """Take what was detected.

        :param heard: samples of the utterance that were listened to.
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
        """Return whether the language of an utterance that is over is a guess: none is known, and none is
        sure.

        :param probability: of the language that was detected in the whole utterance.
        """
        if self.settled or self.current is not None or probability >= _SURE:
            return False
        if self._doubt is not None:
            self._evidence[self._doubt] = max(self._evidence.get(self._doubt, 0.0), probability)
        return True

    def settle_on_likeliest(self) -> None:
        """Take the language that is likeliest for the utterances that were held back."""
        if self.current is not None or not self._evidence:
            return
        likeliest = max(self._evidence, key=lambda language: self._evidence[language])
        self.settle(likeliest if self._evidence[likeliest] >= _LIKELY else self._fallback or likeliest)

    def settle(self, language: str | None) -> None:
        """Take ``language`` for certain; does nothing more where it is so already."""
        self.current, self.settled = language, True
        self._evidence.clear()
        self._doubt, self._carried = None, 0
