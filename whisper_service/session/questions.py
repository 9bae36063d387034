"""The questions of a session: samples become jobs, and jobs become requests, one after the other.

A request carries, as forced prefix, the words that earlier hypotheses have made final. So each job waits for
the answer to the job before it, and the order in which an engine answers cannot matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from whisper_service.audio.pcm import SAMPLE_RATE, Samples
from whisper_service.config import StreamSettings
from whisper_service.engine.request import Hypothesis, Kind, Request
from whisper_service.events import Event
from whisper_service.session.buffer import RollingBuffer
from whisper_service.session.carry import Carry
from whisper_service.session.context import Context
from whisper_service.session.language import LanguageLock
from whisper_service.session.lookback import LookBack, Part
from whisper_service.session.timeline import Job, Timeline
from whisper_service.session.window import Heard, Window, text_of, tokens_of

#: A partial is worth a request of its own if at least this much audio is new: 200 ms.
_DISPLAY_SAMPLES = SAMPLE_RATE // 5
#: The largest distance between positions of a coarser grid, in samples: 4 s. So a window grows at most that
#: far beyond the length at which it is cut, and the sum is below the 30 s of the model.
COARSEST = 4 * SAMPLE_RATE
#: If a window gets too long, so many samples of its look-back are left out that there is room for this many.
_ROOM_SAMPLES = 5 * SAMPLE_RATE
#: An utterance whose language is not certain is held back for at most this long: 10 s.
_HELD_SAMPLES = 10 * SAMPLE_RATE


class Questions:
    """The jobs of one stream, and the job that is being answered.

    :param name: the stream's name, unique among the streams of an engine.
    :param grid_samples: distance between the positions of the grid, in samples.
    :param language: decides the language of the requests.
    :param carry: the state at which the stream begins.
    """

    def __init__(
        self,
        name: str,
        settings: StreamSettings,
        *,
        grid_samples: int,
        language: LanguageLock,
        carry: Carry,
    ) -> None:
        self._name = name
        self._settings = settings
        self._cut_samples = round(settings.max_utterance_s * SAMPLE_RATE)
        self._buffer = RollingBuffer(carry.audio_from)
        self._timeline = Timeline.of(
            settings,
            grid=grid_samples,
            position=carry.position,
            frame=carry.frame,
            unfinished=carry.unfinished,
        )
        self._language = language
        self._jobs: deque[Job] = deque()
        self._held: list[Job] = []  # the last jobs of utterances whose language is not certain yet
        self._flushed = carry.position  # jobs up to here are not held back any more
        self._asked: tuple[Job, Request] | None = None
        self._asked_display: Request | None = None
        self._display_end = carry.position
        self._number = 0
        self._context = carry.context
        self._look_back = carry.look_back
        self._heard = carry.heard
        #: The window that is being transcribed; None between utterances.
        self.window: Window | None = None
        if carry.unfinished is not None:
            self.window = Window.after_cut(carry.unfinished, carry.position, carry.context)
            self._display_end = carry.unfinished.asked

    @property
    def received(self) -> int:
        """The sample after the last one that was fed."""
        return self._buffer.end

    @property
    def settled(self) -> int:
        """The sample up to which every job has been answered. Requests for partials do not count."""
        waiting = self._asked[0] if self._asked else self._jobs[0] if self._jobs else None
        return waiting.position if waiting else self.received

    @property
    def done(self) -> bool:
        """Whether no job is being answered, waits or is held back. Requests for partials do not count."""
        return self._asked is None and not self._jobs and not self._held

    @property
    def silent_since(self) -> tuple[int, int] | None:
        """In silence: see ``Timeline``. None if somebody speaks or a job waits."""
        return self._timeline.silent_since if self.done and self.window is None else None

    @property
    def holds_back(self) -> bool:
        """Whether an utterance is held back until its language is certain."""
        return bool(self._held)

    @property
    def first_open(self) -> int:
        """The sample from which on words may still be missing in the finals."""
        open_at = self.settled if self._timeline.utterance is None else self._timeline.utterance
        if self.window is not None:
            final_words = self.window.final_words
            open_at = final_words[-1].end if final_words else self.window.own_start
        return min([open_at, *(job.start for job in self._held)])

    def feed(self, samples: Samples, speech: Iterable[float]) -> tuple[list[Event], list[Job]]:
        """Take the next samples; return the events and the new jobs.

        :param speech: probabilities of the frames that these samples complete.
        """
        self._buffer.append(samples)
        events, jobs = self._timeline.advance(self.received, speech)
        self._jobs.extend(jobs)
        return events, jobs

    def close(self) -> list[Event]:
        """End the utterance here, if there is one; return the events."""
        events, jobs = self._timeline.close(self.received)
        self._jobs.extend(jobs)
        self._flushed = self.received
        return events

    def next(self, *, show: bool) -> list[Request]:
        """Return the next request, unless a job is being answered.

        If jobs that are held back have waited long enough, the language is settled first.

        :param show: whether to ask for a partial if no job waits.
        """
        if self._asked is not None:
            return []
        if self._held and self._is_held_enough():
            self._language.settle_on_likeliest()
            self.take_up_held()
        if self._jobs:
            return [self._ask(self._jobs.popleft())]
        return self._ask_display() if show else []

    def next_known(self) -> Job | None:
        """Return the next job if it is the end of an utterance whose last hypothesis is known, else None.

        The job of the pause has asked for it, with the same audio. Beams are only asked for at the end.
        """
        job = self._jobs[0] if self._jobs else None
        if (
            self._asked is None
            and job is not None
            and job.kind is Kind.FINAL
            and self.window is not None
            and self.window.utterance == job.start
            and self.window.complete == job.position
            and self._language.settled
            and self._settings.beam_size == 1
        ):
            return self._jobs.popleft()
        return None

    def answered(self, answer: Hypothesis) -> tuple[Job, Request] | Request | None:
        """Return the question that ``answer`` belongs to: a job and its request, or a request for a partial.

        Return None if the request has been superseded.
        """
        if self._asked is not None and answer.number == self._asked[1].number:
            asked, self._asked = self._asked, None
            return asked
        if self._asked_display is not None and answer.number == self._asked_display.number:
            display, self._asked_display = self._asked_display, None
            return display
        return None

    def ask_again(self, job: Job) -> None:
        """Put ``job`` back at the front of the jobs that wait."""
        self._jobs.appendleft(job)

    def ask_as_a_whole(self, job: Job, request: Request) -> Request:
        """Return ``request`` about the same window, which the encoder hears as a whole this time.

        The answer is expected instead of that to ``request``.
        """
        self._number += 1
        again = replace(request, number=self._number, heard=None, rough=False)
        self._asked = job, again
        return again

    def ask_to_speak(self, job: Job, request: Request) -> Request:
        """Return ``request``, to which the model must write a word this time.

        The answer is expected instead of that to ``request``. Its window has been encoded already.
        """
        self._number += 1
        heard = request.heard if request.heard is None else self._heard.positions
        again = replace(request, number=self._number, heard=heard, must_speak=True)
        self._asked = job, again
        return again

    def ask_for_words_alone(self, job: Job, window: Window, request: Request) -> Request:
        """Return the request about the window's own part without any text that the model might only repeat.

        Prompt, context, prefix and draft are left out, and the look-back, whose words are none of this part.
        The answer is expected instead of that to ``request``.
        """
        self._number += 1
        again = replace(
            request,
            number=self._number,
            start=window.own_start,
            pcm=request.pcm[window.own_start - request.start :],
            heard=None,
            rough=False,
            prompt="",
            context="",
            prefix=(),
            draft=(),
        )
        self._asked = job, again
        return again

    def cut(self, window: Window, at: int, words: int, language: str) -> None:
        """Begin a new window at sample ``at`` in mid-speech, without the first ``words`` final words."""
        before = text_of(window.final_words[:words])
        self._context = self._context.followed_by(before, language)
        self._look_back = self._look_back.followed_by(window.cut(at, words, self._context), language)

    def end(self, window: Window, language: str) -> None:
        """Take note that the utterance of ``window`` is final."""
        if window.without_context and window.final_words:
            # Requests of this utterance had to leave them out, and it has words: do not use them again.
            self._context, self._look_back = self._context.forgotten(), LookBack()
        if window.final_words:
            part = Part(window.own_start, tokens_of(window.final_words), window.own_context)
            self._look_back = self._look_back.followed_by(part, language)
        self._context = self._context.followed_by(text_of(window.final_words), language)
        self.window = None

    def carried_text(self, position: int) -> tuple[Context, LookBack, Heard]:
        """Return what utterances that begin at ``position`` or later take over."""
        return self._context, self._look_back.kept_for(position), self._heard

    def hold(self, job: Job) -> None:
        """Keep the last job of an utterance until its language is certain."""
        self._held.append(job)
        self.window = None

    def take_up_held(self) -> None:
        """Move the jobs that were held back to the front of the jobs that wait."""
        self._jobs.extendleft(reversed(self._held))
        self._held.clear()

    def audio(self, window: Window, end: int) -> Samples:
        """Return the samples of ``window`` up to ``end``."""
        return self._buffer.read(window.start, end)

    def is_long(self, window: Window, end: int) -> bool:
        """Return whether a window up to ``end`` has reached the length at which it is cut."""
        return end - window.start >= self._cut_samples

    def coarsen(self, spacing: int) -> None:
        """Drop waiting jobs of the grid, as long as the rest lie no more than ``spacing`` samples apart.

        For a machine that has fallen behind. From here on the same samples may give different finals.

        :param spacing: at most ``COARSEST``, so that a window is cut before it gets too long for the model.
        """
        assert spacing <= COARSEST
        kept: deque[Job] = deque()
        for index, job in enumerate(self._jobs):
            following = self._jobs[index + 1] if index + 1 < len(self._jobs) else None
            reached = kept[-1].position if kept else self._asked[0].position if self._asked else job.start
            needless = following is not None and following.position - reached <= spacing
            if job.kind is not Kind.COMMIT or not needless:
                kept.append(job)
        self._jobs = kept

    def forget(self) -> None:
        """Drop the audio that no later request needs."""
        needed = [self._timeline.needed]
        window = self.window
        if window is not None and (self._asked or window.utterance == self._timeline.utterance):
            needed = [window.start]
        known = window.utterance if window is not None else None
        needed += [job.start for job in (*self._held, *self._jobs) if job.start != known]
        self._look_back = self._look_back.kept_for(min(needed))
        needed += [part.start for part in self._look_back.parts[:1]]
        self._buffer.trim(min(needed))

    def abandon(self) -> None:
        """Drop all jobs and requests."""
        self._held.clear()
        self._jobs.clear()
        self._asked = self._asked_display = self.window = None

    def _ask(self, job: Job) -> Request:
        if self.window is None or self.window.utterance != job.start:
            self.window = Window(job.start, self._context)
            self._language.begin()
        self._place(self.window, job.position)
        request = self._request(job.kind, self.window, job.position)
        if job.kind is Kind.COMMIT and request.heard is not None:
            self._heard = Heard(self.window.start, request.heard).at(job.position)
        self._asked, self._asked_display = (job, request), None
        self._display_end = max(self._display_end, job.position)
        return request

    def _ask_display(self) -> list[Request]:
        """Return a request for a partial, if there is new speech and at least 200 ms of new audio."""
        utterance = self._timeline.utterance
        if (
            not self._settings.interim
            or utterance is None
            or self._timeline.last_speech <= self._display_end
            or self.received - self._display_end < _DISPLAY_SAMPLES
        ):
            return []
        window = self.window
        if window is None or window.utterance != utterance:
            window = Window(utterance, self._context)
            self._place(window, self.received)
        self._display_end = self.received
        self._asked_display = self._request(Kind.DISPLAY, window, self.received)
        return [self._asked_display]

    def _place(self, window: Window, position: int) -> None:
        """Choose the earlier utterances at the beginning of a window up to ``position``.

        While the language is not certain the choice stays as it is: the language has to be detected in the
        utterance alone. If the window grows too long, the oldest are left out.
        """
        can_hear = self._settings.context and self._language.settled and not window.without_context
        if not can_hear or window.own_start != window.utterance:
            return
        earliest = position - self._cut_samples + 1
        begun = self._heard.start
        if window.looks_back:
            if window.start >= earliest:
                return
            earliest += _ROOM_SAMPLES
        parts = self._look_back.before(
            window.utterance, self._language.current, earliest=earliest, begun=begun
        )
        window.begin_with(parts)

    def _request(self, kind: Kind, window: Window, position: int) -> Request:
        self._number += 1
        language, heard = self._language.current, self._heard_by(kind, window)
        told = self._settings.context and not window.without_context
        return Request(
            stream=self._name,
            number=self._number,
            kind=kind,
            start=window.start,
            pcm=self._buffer.read(window.start, position),
            heard=heard,
            rough=heard is None and kind is not Kind.FINAL,
            prompt="" if window.without_context else self._settings.prompt,
            context=window.context.before(language) if told else "",
            prefix=window.prefix,
            draft=window.draft,
            language=language,
            detect=not self._language.settled,
            task=self._settings.task,
            beam_size=self._settings.beam_size if kind is Kind.FINAL else 1,
        )

    def _heard_by(self, kind: Kind, window: Window) -> tuple[int, ...] | None:
        """Return the positions at which ``window`` has been heard; None if the stream does not go on with it.

        The model keeps one window of a stream. Only a job of the grid may begin another, and not while the
        language is not certain: that utterance is heard alone until then, and afterwards with its look-back.
        """
        if self._heard.start == window.start and self._heard.positions:
            return self._heard.positions
        begins = kind is Kind.COMMIT and (self._language.settled or not self._look_back.parts)
        return () if begins or not self._heard.positions else None

    def _is_held_enough(self) -> bool:
        """Return whether the jobs that are held back have waited long enough, by the stream's sample clock.

        The time is the position of the next job, so that it does not matter how fast the samples come. If no
        job waits, it is the last sample.
        """
        first = self._held[0].position
        now = self._jobs[0].position if self._jobs else self.received
        is_flushed = first <= self._flushed and (not self._jobs or now > self._flushed)
        return is_flushed or now - first > _HELD_SAMPLES
