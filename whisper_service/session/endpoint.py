"""Finds from speech probabilities where utterances begin and end."""

from __future__ import annotations

from dataclasses import dataclass

from whisper_service.audio.pcm import FRAME_SAMPLES

#: Speech goes on until the probability falls this far below the threshold (Silero's own hysteresis).
_HYSTERESIS = 0.15


@dataclass(frozen=True, slots=True)
class Began:
    """Speech began at sample ``at``, and it counts."""

    at: int


@dataclass(frozen=True, slots=True)
class Ended:
    """Speech ended at sample ``at``, and the pause since then is long enough to end the utterance."""

    at: int


class Endpointer:
    """Turns the speech probabilities of frames into beginnings and ends of speech.

    :param threshold: speech begins at this probability, 0…1.
    :param min_speech: shorter speech is taken for noise, in samples.
    :param min_silence: a pause of this length ends an utterance, in samples.
    """

    def __init__(self, *, threshold: float, min_speech: int, min_silence: int) -> None:
        self._threshold = threshold
        self._release = max(0.01, threshold - _HYSTERESIS)
        self._min_speech = min_speech
        self._min_silence = min_silence
        self._heard = 0
        #: Start of the first frame of speech, also while the speech is too short to count; None in silence.
        self.onset: int | None = None
        #: Whether the speech since ``onset`` counts.
        self.speaking = False
        #: End of the last frame of speech.
        self.last_speech = 0

    def push(self, probability: float, end: int) -> Began | Ended | None:
        """Return the beginning or end of speech that a new frame reveals, or None.

        :param probability: the frame's speech probability.
        :param end: the frame's end, in samples.
        """
        if probability >= (self._threshold if self.onset is None else self._release):
            if self.onset is None:
                self.onset, self._heard = end - FRAME_SAMPLES, 0
            self.last_speech = end
            self._heard += FRAME_SAMPLES
            if not self.speaking and self._heard >= self._min_speech:
                return self.confirm()
        elif self.onset is not None and end - self.last_speech >= self._min_silence:
            was_speaking, at = self.speaking, self.last_speech
            self.reset()
            return Ended(at) if was_speaking else None
        return None

    def confirm(self) -> Began | None:
        """Let the speech since ``onset`` count, however short. None if there is none or it already counts."""
        if self.onset is None or self.speaking:
            return None
        self.speaking = True
        return Began(self.onset)

    def go_on(self, onset: int, last_speech: int) -> None:
        """Go on in speech that counts.

        :param onset: where it began.
        :param last_speech: end of its last frame so far.
        """
        self.onset, self.last_speech, self.speaking = onset, last_speech, True

    def reset(self) -> None:
        """Return to silence."""
        self.onset, self.speaking, self._heard = None, False, 0
