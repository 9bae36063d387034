"""Turns slices into pieces of samples with speech probabilities. Losses become silence and are reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from whisper_service.audio.clock import ClientClock
from whisper_service.audio.ffmpeg import GAP
from whisper_service.audio.pcm import SAMPLE_RATE, Gap, Samples
from whisper_service.audio.slices import SliceReader
from whisper_service.errors import AudioError, BadAudio

#: The longest piece of audio that a session gets, so that a stream can wait for the engine within a file.
_PIECE_SAMPLES = SAMPLE_RATE // 2
#: The first loss is reported at once, the next ones together: at the first loss after this many samples of
#: the stream, or at its end.
_LOSS_TOLD_SAMPLES = 5 * SAMPLE_RATE


class StreamDetector(Protocol):
    """The speech detector of the streams. A call blocks the greenlet."""

    def probabilities(self, state: Any, samples: Samples) -> list[float]:
        """Return the speech probabilities of the frames that ``samples`` complete."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The next samples of a stream.

    :param samples: mono float32 at 16 kHz, ``(n_samples,)``, at most half a second.
    :param speech: speech probability of each frame that these samples complete.
    :param lost: whether the samples are silence in place of audio that could not be decoded.
    """

    samples: Samples
    speech: list[float]
    lost: bool = False


class Beginning(NamedTuple):
    """Where a stream begins.

    :param first: the first sample that comes; none of the others is before it.
    :param samples: the first sample that is passed on.
    :param speech: the first sample that the speech detector needs.
    """

    first: int
    samples: int
    speech: int


class Hearing:
    """Decodes one stream and gets its speech probabilities. Its iterators block the greenlet meanwhile.

    An iterator yields an ``AudioError`` if the client has to be told of a loss. The stream goes on.

    :param speech_state: the state of the speech detector for this stream.
    :param begin: where the stream begins. The detector's state must begin there too.
    """

    def __init__(
        self, slices: SliceReader, speech: StreamDetector, speech_state: Any, begin: Beginning
    ) -> None:
        self._slices = slices
        self._speech = speech
        self._speech_state = speech_state
        self._begin = begin
        self._received = begin.first
        self._untold_s = 0.0  # seconds of lost audio that were not reported yet
        self._told_at = self._received - _LOSS_TOLD_SAMPLES

    @property
    def clock(self) -> ClientClock:
        """The clock that counts the client's own samples."""
        return self._slices.clock

    def read(self, data: bytes) -> Iterator[Piece | AudioError]:
        """Yield the pieces of a slice.

        :raises AudioError: if the slice cannot be decoded.
        :raises Full: if too many container streams are open.
        """
        yield from self._hear(self._slices.read(data))

    def finish(self) -> Iterator[Piece | AudioError]:
        """Yield the rest of the audio at the end of the stream. A decoder error is yielded, not raised."""
        try:
            yield from self._hear(self._slices.finish())
        except AudioError as problem:
            yield problem
            yield from self.refuse(problem)
        yield from self._report()

    def refuse(self, problem: AudioError) -> Iterator[Piece]:
        """Yield silence in place of a slice that was rejected with ``problem``."""
        self.clock.lose(problem.lost_samples)
        yield from self.lose(problem.lost_samples)

    def lose(self, count: int) -> Iterator[Piece]:
        """Yield ``count`` samples of silence in place of lost audio, so that later times stay right."""
        silence = np.zeros(_PIECE_SAMPLES, dtype=np.float32)
        for start in range(0, count, _PIECE_SAMPLES):
            yield self._piece(silence[: count - start], lost=True)

    def abort(self) -> None:
        """Release the decoder. The stream is over."""
        self._slices.abort()

    def _hear(self, items: Iterable[Samples | Gap]) -> Iterator[Piece | AudioError]:
        for item in items:
            if isinstance(item, Gap):
                yield from self.lose(round(item.seconds * SAMPLE_RATE))
                if item.reason:
                    self._untold_s += item.seconds
                if self._received - self._told_at >= _LOSS_TOLD_SAMPLES:
                    yield from self._report()
            else:
                for start in range(0, item.shape[0], _PIECE_SAMPLES):
                    yield self._piece(item[start : start + _PIECE_SAMPLES])

    def _piece(self, samples: Samples, *, lost: bool = False) -> Piece:
        start, self._received = self._received, self._received + samples.shape[0]
        needed = samples[max(0, self._begin.speech - start) :]
        speech = self._speech.probabilities(self._speech_state, needed)
        return Piece(samples[max(0, self._begin.samples - start) :], speech, lost)

    def _report(self) -> Iterator[AudioError]:
        if self._untold_s:
            yield BadAudio(f"{self._untold_s:.2f} s of audio were lost: {GAP}. Silence takes their place.")
            self._untold_s, self._told_at = 0.0, self._received
