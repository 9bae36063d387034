"""One stream: samples and speech probabilities in, requests and events out.

A session is pure: no clock, no thread, no socket. It belongs to one connection. Data flows one way:

    feed ─► buffer ─► timeline ─► jobs ─► Request ─ … engine … ─► Hypothesis ─► apply ─► finals

Jobs are asked one after the other, each with what the answers before it have made final, so the finals are a
function of the samples and the settings: not of the slices, and not of how fast or in which order among
streams the answers come. Only ``coarsen`` breaks that, and its caller must say so (``Lag``).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whisper_service.audio.pcm import SAMPLE_RATE
from whisper_service.config import StreamSettings
from whisper_service.engine.request import Hypothesis, Kind, Request, Word
from whisper_service.events import Done, Event, Final, Partial
from whisper_service.session.buffer import RollingBuffer
from whisper_service.session.commit import POLICIES
from whisper_service.session.context import Context
from whisper_service.session.cut import cut_point
from whisper_service.session.guard import Belief, believe
from whisper_service.session.keywords import Spotter
from whisper_service.session.language import LanguageLock
from whisper_service.session.ledger import Ledger
from whisper_service.session.timeline import Job, Timeline
from whisper_service.session.window import Window

log = logging.getLogger(__name__)

#: A partial is worth a request of its own when this much audio is new: 200 ms.
_DISPLAY_SAMPLES = SAMPLE_RATE // 5


@dataclass(frozen=True, slots=True)
class Step:
    """What a call has brought about, in order."""

    events: tuple[Event, ...] = ()
    requests: tuple[Request, ...] = ()


class Session:
    """The state of one stream.

    :param name: unique among the streams of an engine.
    :param settings: what the client has chosen.
    :param grid_samples: distance of the positions at which words may become final.
    :param languages: codes that the model knows.
    """

    def __init__(
        self, name: str, settings: StreamSettings, *, grid_samples: int, languages: frozenset[str]
    ) -> None:
        self.name = name
        self._settings = settings
        self._pre_roll = settings.pre_roll_ms * SAMPLE_RATE // 1000
        # The model takes 30 s, and the next job comes within 4 s.
        self._cut_samples = round(settings.max_utterance_s * SAMPLE_RATE)
        self._policy = POLICIES[settings.policy]()
        self._buffer = RollingBuffer()
        self._timeline = Timeline.of(settings, grid=grid_samples)
        self._jobs: deque[Job] = deque()
        self._asked: tuple[Job, Request] | None = None
        self._window: Window | None = None
        self._display: Request | None = None
        self._display_end = 0
        self._lock = LanguageLock(
            settings.language or (next(iter(languages)) if len(languages) == 1 else None)
        )
        self._context = Context()
        self._spotter = Spotter(settings.keywords)
        self._language = ""  # of the last answer
        self._number = 0
        self._texts: list[str] = []
        self._shown = ""
        self._ledger = Ledger()
        self._finishing = False
        self._finished = False

    @property
    def received(self) -> int:
        """Samples that were fed so far."""
        return self._buffer.end

    @property
    def settled(self) -> int:
        """The sample up to which every question that must be answered has been answered."""
        waiting = self._asked[0] if self._asked else self._jobs[0] if self._jobs else None
        return waiting.position if waiting else self.received

    @property
    def finished(self) -> bool:
        """Whether ``finish`` was called and everything is final."""
        return self._finished

    def feed(self, pcm: NDArray[np.float32], speech: Iterable[float], *, lost: bool = False) -> Step:
        """Take the next samples.

        :param pcm: mono float32 in [-1, 1] at 16 kHz, ``(n_samples,)``.
        :param speech: probabilities of the frames (512 samples of the absolute clock) complete by now.
        :param lost: the samples stand in for audio that could not be decoded.
        """
        if lost:
            self._ledger.lose(self._buffer.end, self._buffer.end + pcm.shape[0])
        self._buffer.append(pcm)
        events, jobs = self._timeline.advance(self._buffer.end, speech)
        self._plan(jobs)
        return self._step(events, show=not jobs)

    def flush(self) -> Step:
        """Make final what was said so far: the utterance ends here."""
        events, jobs = self._timeline.close(self._buffer.end)
        self._plan(jobs)
        return self._step(events)

    def finish(self) -> Step:
        """Make everything final; ``Done`` comes behind the last final."""
        self._finishing = True
        return self.flush()

    def apply(self, answer: Hypothesis) -> Step:
        """Take the answer to one of this session's requests. Answers to superseded ones change nothing."""
        if self._asked is not None and answer.number == self._asked[1].number:
            job, request = self._asked
            self._asked = None
            return self._step(self._take(job, request, answer))
        if self._display is not None and answer.number == self._display.number:
            request, self._display = self._display, None
            words = self._believe(answer).words
            return Step((*self._show(words, request.end), *self._spotter.update((), words, answer.language)))
        return Step()

    def abandon(self) -> tuple[Step, int]:
        """End without waiting for answers: what the last one has shown becomes final, but for its last word.

        :returns: what is to be told, and the sample from which on nothing is final.
        """
        events: list[Event] = []
        heard = self.settled
        window = self._window
        if window is not None:
            events = self._finalise(window, window.hypothesis[:-1], self._language)
            heard = window.committed[-1].end if window.committed else window.start
        self._jobs.clear()
        self._asked = self._display = self._window = None
        self._finished = True
        return Step(tuple(events)), heard

    def coarsen(self, spacing: int) -> int:
        """Drop waiting jobs of the grid that lie closer than ``spacing`` samples; return how many.

        For a machine that has fallen behind: from here on the same samples may be committed differently.
        """
        kept: deque[Job] = deque()
        for index, job in enumerate(self._jobs):
            following = self._jobs[index + 1] if index + 1 < len(self._jobs) else None
            reached = kept[-1].position if kept else self._asked[0].position if self._asked else job.start
            needless = following is not None and following.position - reached <= spacing
            if job.kind is not Kind.COMMIT or not needless:
                kept.append(job)
        dropped = len(self._jobs) - len(kept)
        self._jobs = kept
        return dropped

    # -- questions -------------------------------------------------------------------------------------

    def _step(self, events: Sequence[Event], *, show: bool = False) -> Step:
        """Ask the next job, if none is being answered; else what is worth showing; forget old audio."""
        told = list(events)
        requests: list[Request] = []
        if self._asked is None and self._jobs:
            requests.append(self._ask(self._jobs.popleft()))
        elif show and self._asked is None:
            requests.extend(self._ask_display())
        if self._finishing and not self._finished and self._asked is None:
            self._finished = True
            told.append(Done(self._ledger.account(self.received), "".join(self._texts)))
        self._forget()
        return Step(tuple(told), tuple(requests))

    def _plan(self, jobs: Sequence[Job]) -> None:
        self._jobs.extend(jobs)
        for job in jobs:
            if job.kind is Kind.FINAL:
                self._ledger.speak(job.start, job.position)

    def _ask(self, job: Job) -> Request:
        if self._window is None or self._window.utterance != job.start:
            self._window = Window(job.start)
            self._policy.reset()
            self._lock.begin()
        request = self._request(job.kind, self._window, job.position)
        self._asked, self._display = (job, request), None
        self._display_end = max(self._display_end, job.position)
        return request

    def _ask_display(self) -> list[Request]:
        """Return a request for a partial, if there is enough new speech to show."""
        speech = self._timeline.last_speech
        if (
            not self._settings.interim
            or self._timeline.utterance is None
            or speech <= self._display_end
            or self.received - self._display_end < _DISPLAY_SAMPLES
        ):
            return []
        window = self._window
        if window is None or window.utterance != self._timeline.utterance:
            window = Window(self._timeline.utterance)
        self._display_end = self.received
        self._display = self._request(Kind.DISPLAY, window, self.received)
        return [self._display]

    def _request(self, kind: Kind, window: Window, position: int) -> Request:
        self._number += 1
        return Request(
            stream=self.name,
            number=self._number,
            kind=kind,
            start=window.start,
            pcm=self._buffer.read(window.start, position),
            prompt="" if window.bare else self._settings.expectations,
            context=self._context.before(self._lock.current) if self._tells_context(window) else "",
            prefix=window.prefix,
            draft=window.draft,
            language=self._lock.current,
            detect=not self._lock.settled,
            task=self._settings.task,
            beam_size=self._settings.beam_size if kind is Kind.FINAL else 1,
            fallback=self._settings.fallback and kind is Kind.FINAL,
        )

    def _tells_context(self, window: Window) -> bool:
        return self._settings.context and not window.bare

    def _forget(self) -> None:
        needed = [self._timeline.needed]
        if self._window is not None and (self._asked or self._window.utterance == self._timeline.utterance):
            needed = [self._window.start]
        elif self._jobs:
            needed.append(self._jobs[0].start)
        self._buffer.trim(min(needed))

    # -- answers ---------------------------------------------------------------------------------------

    def _believe(self, answer: Hypothesis) -> Belief:
        belief = believe(answer)
        if belief.reason:
            log.info("%s: not all words of request %d count: %s", self.name, answer.number, belief.reason)
        return belief

    def _take(self, job: Job, request: Request, answer: Hypothesis) -> list[Event]:
        """Make final what is certain now, or ask the same once more in another way."""
        window = self._window
        assert window is not None
        self._language = answer.language
        self._lock.hear(
            answer.detected, answer.language_probability, job.position - window.utterance - self._pre_roll
        )
        if self._lock.current not in (None, answer.language):
            log.info("%s: the language is %s now", self.name, self._lock.current)
            return self._ask_again(job, window)
        belief = self._believe(answer)
        if (request.prompt or request.context) and self._misled(job, window, belief):
            log.info("%s: request %d is asked again without prompt and context", self.name, request.number)
            window.bare = True
            self._context.forget()
            return self._ask_again(job, window)
        events = self._commit(job, window, belief.words, answer.language)
        final = [word for event in events if isinstance(event, Final) for word in event.words]
        ended = job.kind is Kind.FINAL
        return [*events, *self._spotter.update(final, window.hypothesis, answer.language, ended=ended)]

    def _misled(self, job: Job, window: Window, belief: Belief) -> bool:
        """Whether the prompt may be why the model repeats itself, or says nothing at all."""
        silent = job.kind is Kind.FINAL and not belief.words and not window.committed
        return silent or bool(belief.reason)

    def _ask_again(self, job: Job, window: Window) -> list[Event]:
        window.hypothesis = ()
        self._policy.reset()
        self._jobs.appendleft(job)
        return []

    def _commit(self, job: Job, window: Window, words: tuple[Word, ...], language: str) -> list[Event]:
        if job.kind is Kind.FINAL:
            events = self._finalise(window, words, language)
            window.hypothesis = ()
            self._context.add(_text(window.committed), language)
            self._window = None
        else:
            # Before the language is certain no word is, and no policy need hear of it.
            count = self._policy.agreed(words, job.position) if self._lock.settled else 0
            events = self._finalise(window, words[:count], language)
            window.hypothesis = words[count:]
            if job.position - window.start >= self._cut_samples:
                events += self._cut(window, job.position, language)
        return [*events, *self._show(window.hypothesis, job.position)]

    def _finalise(self, window: Window, words: Sequence[Word], language: str) -> list[Event]:
        if not words:
            return []
        window.committed.extend(words)
        text = _text(words)
        final = Final(len(self._texts), text, words[0].start, words[-1].end, tuple(words), language)
        self._texts.append(text)
        self._shown = ""
        return [final]

    def _cut(self, window: Window, position: int, language: str) -> list[Event]:
        """Begin a new window in mid-speech, at the quietest place between two final words.

        The final words behind the cut go with it, as forced prefix of the new window: nothing is lost or
        said twice at the seam. Where agreement never came, the words before the cut become final here.
        """
        audio = self._buffer.read(window.start, position)
        words = [*window.committed, *window.hypothesis]
        cut = cut_point(audio, window.start, words, committed=len(window.committed))
        events: list[Event] = []
        if cut.words > len(window.committed):
            missing = cut.words - len(window.committed)
            events = self._finalise(window, window.hypothesis[:missing], language)
            window.hypothesis = window.hypothesis[missing:]
            self._policy.reset()
        self._context.add(_text(window.committed[: cut.words]), language)
        window.committed = window.committed[cut.words :]
        window.start = cut.at
        return events

    def _show(self, words: Sequence[Word], end: int) -> list[Event]:
        """Return the partial that shows ``words``, if it differs from what is shown."""
        text = _text(words)
        if not self._settings.interim or text == self._shown:
            return []
        self._shown = text
        start = words[0].start if words else end
        return [Partial(text, 0, start, words[-1].end if words else end, tuple(words))]


def _text(words: Sequence[Word]) -> str:
    return "".join(word.text for word in words)
