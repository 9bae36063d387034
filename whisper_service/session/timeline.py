"""Plans the jobs of a stream and their positions: a function of the speech probabilities and the settings.

The timeline walks the stream's clock. At the end of every frame it takes the speech probability. At every
position of the grid it plans a job if there was new speech. In a pause it plans a job as soon as the audio of
the utterance is complete, and another at the end of the utterance, if the pause gets that long: then the
answer is known already. The timeline does not see the answers, so their speed cannot matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from whisper_service.audio.pcm import FRAME_SAMPLES, SAMPLE_RATE
from whisper_service.config import StreamSettings
from whisper_service.engine.request import STEP_SAMPLES, Kind
from whisper_service.events import Event, SpeechEnded, SpeechStarted
from whisper_service.session.endpoint import Began, Endpointer
from whisper_service.session.window import Unfinished

#: Audio after the last frame of speech that belongs to the utterance, for trailing consonants: 300 ms. If the
#: pause that ends an utterance is shorter than 400 ms, it is less: 100 ms remain for the model to answer.
_TAIL_SAMPLES = 4_800
_AFTER_TAIL_SAMPLES = 1_600


@dataclass(frozen=True, slots=True)
class Job:
    """A planned question about the speech up to a position. It may take several requests.

    :param kind: ``COMMIT`` at a position of the grid or in a pause, ``FINAL`` at the end of the utterance.
    :param start: first sample of the utterance.
    :param position: the model hears ``[start, position)``, after a cut only the end of that, and before it
        perhaps a look-back.
    :param frame: number of the first frame whose probability is not used yet.
    :param last_speech: end of the last frame of speech before that.
    :param pause: whether the utterance ends at ``position`` unless somebody speaks soon; only for ``COMMIT``.
    """

    kind: Kind
    start: int
    position: int
    frame: int
    last_speech: int
    pause: bool = False


class Timeline:
    """Walks the clock of one stream.

    :param endpointer: decides where utterances begin and end.
    :param grid: distance between the positions of the grid, in samples.
    :param tail: audio after the last frame of speech that belongs to the utterance, in samples.
    :param pre_roll: audio before the first frame of speech that belongs to the utterance, in samples. The
        speech detector hears soft onsets late.
    :param position: no utterance begins before this sample.
    :param frame: number of the first frame whose probability ``advance`` will get.
    :param unfinished: the utterance that goes on there, if there is one.
    """

    def __init__(
        self,
        endpointer: Endpointer,
        *,
        grid: int,
        tail: int,
        pre_roll: int,
        position: int = 0,
        frame: int = 0,
        unfinished: Unfinished | None = None,
    ) -> None:
        self._endpointer = endpointer
        self._tail = tail
        self._pre_roll = pre_roll
        self._grid = grid
        self._frames_end = frame * FRAME_SAMPLES
        self._next_grid = max(grid, -(-self._frames_end // grid) * grid)
        self._probabilities: deque[float] = deque()
        self._asked_speech = 0
        #: First sample of the utterance that is being spoken; None between utterances.
        self.utterance: int | None = None
        self._asked_pause = 0  # the end of speech before the last pause for which a job was planned
        #: The sample at which the last utterance ends: none begins before it.
        self.closed = position
        if unfinished is not None:
            endpointer.go_on(unfinished.start, unfinished.last_speech)
            self.utterance = unfinished.start
            self._asked_speech = unfinished.last_speech
            self._next_grid = (unfinished.asked // grid + 1) * grid

    @classmethod
    def of(
        cls,
        settings: StreamSettings,
        *,
        grid: int,
        position: int = 0,
        frame: int = 0,
        unfinished: Unfinished | None = None,
    ) -> Timeline:
        """Return the timeline for a stream's settings. The class describes the other parameters."""
        endpointer = Endpointer(
            threshold=settings.vad_threshold,
            min_speech=settings.min_speech_ms * SAMPLE_RATE // 1000,
            min_silence=settings.min_silence_ms * SAMPLE_RATE // 1000,
        )
        min_silence = settings.min_silence_ms * SAMPLE_RATE // 1000
        tail = min(_TAIL_SAMPLES, max(min_silence - _AFTER_TAIL_SAMPLES, min_silence // 2))
        pre_roll = settings.pre_roll_ms * SAMPLE_RATE // 1000
        return cls(
            endpointer,
            grid=grid,
            tail=tail,
            pre_roll=pre_roll,
            position=position,
            frame=frame,
            unfinished=unfinished,
        )

    @property
    def needed(self) -> int:
        """The first sample that the current or the next utterance may still need."""
        if self.utterance is not None:
            return self.utterance
        onset = self._endpointer.onset
        return self._start_for(self._frames_end if onset is None else onset)

    @property
    def silent_since(self) -> tuple[int, int] | None:
        """In silence: the first sample that the next utterance may need, and the number of the next frame.

        None if somebody speaks, or may have begun to.
        """
        if self.utterance is not None or self._endpointer.onset is not None:
            return None
        return self.needed, self._frames_end // FRAME_SAMPLES

    @property
    def last_speech(self) -> int:
        """End of the last frame that held speech."""
        return self._endpointer.last_speech

    def advance(self, received: int, speech: Iterable[float]) -> tuple[list[Event], list[Job]]:
        """Walk as far as samples and probabilities reach, in an order that does not depend on the slices.

        :param received: the sample after the last one that has come.
        :param speech: probabilities of the frames that were completed since the last call.
        """
        self._probabilities.extend(speech)
        events: list[Event] = []
        jobs: list[Job] = []
        while True:
            frame_end = self._frames_end + FRAME_SAMPLES
            if self._next_grid < frame_end:
                if received < self._next_grid:
                    return events, jobs
                self._at_grid(self._next_grid, jobs)
                self._next_grid += self._grid
            elif self._probabilities:
                self._frames_end = frame_end
                self._at_frame(self._probabilities.popleft(), frame_end, events, jobs)
            else:
                return events, jobs

    def close(self, received: int) -> tuple[list[Event], list[Job]]:
        """End the utterance at sample ``received``, if there is one, however short it is."""
        events: list[Event] = []
        jobs: list[Job] = []
        began = self._endpointer.confirm()
        # Right after a flush, a frame of speech may end that has no samples after the flush.
        if began is not None and self._start_for(began.at) < received:
            self._begin(events, began.at)
        if self.utterance is not None:
            self._end(self._endpointer.last_speech, received, events, jobs)
        self._endpointer.reset()
        return events, jobs

    def _at_grid(self, position: int, jobs: list[Job]) -> None:
        last_speech = self._endpointer.last_speech
        # From the end of the tail on, the job of the pause hears all that there is.
        is_complete = position >= last_speech + self._tail
        if self.utterance is None or last_speech <= self._asked_speech or is_complete:
            return
        self._asked_speech = last_speech
        jobs.append(self._job(Kind.COMMIT, position))

    def _at_frame(self, probability: float, end: int, events: list[Event], jobs: list[Job]) -> None:
        boundary = self._endpointer.push(probability, end)
        if isinstance(boundary, Began):
            self._begin(events, boundary.at)
        elif self.utterance is not None:
            last_speech = self._endpointer.last_speech
            complete = last_speech + self._tail
            if complete <= end and last_speech > self._asked_pause:
                self._asked_pause = self._asked_speech = last_speech
                jobs.append(self._job(Kind.COMMIT, complete, pause=True))
            if boundary is not None:
                self._end(boundary.at, complete, events, jobs)

    def _begin(self, events: list[Event], onset: int) -> None:
        self.utterance = self._start_for(onset)
        events.append(SpeechStarted(onset))

    def _start_for(self, onset: int) -> int:
        """Return the first sample of an utterance whose speech begins at ``onset``."""
        earliest = -(-self.closed // STEP_SAMPLES) * STEP_SAMPLES
        return max(earliest, (onset - self._pre_roll) // STEP_SAMPLES * STEP_SAMPLES)

    def _end(self, speech_end: int, end: int, events: list[Event], jobs: list[Job]) -> None:
        events.append(SpeechEnded(speech_end))
        assert self.utterance is not None
        # Without new samples there is nothing to ask: a client may go on from elsewhere and stop at once.
        if max(self.utterance, self.closed) < end:
            jobs.append(self._job(Kind.FINAL, end))
        self.utterance, self.closed = None, max(self.closed, end)

    def _job(self, kind: Kind, position: int, *, pause: bool = False) -> Job:
        assert self.utterance is not None
        frame = self._frames_end // FRAME_SAMPLES
        return Job(kind, self.utterance, position, frame, self._endpointer.last_speech, pause)
