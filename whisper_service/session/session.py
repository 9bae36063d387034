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
from dataclasses import dataclass, replace

from whisper_service.audio.pcm import SAMPLE_RATE, Samples
from whisper_service.config import StreamSettings
from whisper_service.engine.request import Hypothesis, Kind, Request, Word
from whisper_service.events import Done, Event, Final, Partial
from whisper_service.session.buffer import RollingBuffer
from whisper_service.session.commit import POLICIES, Agreed
from whisper_service.session.context import Context
from whisper_service.session.cut import HEAD_SAMPLES, cut_point
from whisper_service.session.display import Display
from whisper_service.session.guard import Belief, believe
from whisper_service.session.keywords import Spotter, within
from whisper_service.session.language import LanguageLock
from whisper_service.session.ledger import Ledger
from whisper_service.session.timeline import Job, Timeline
from whisper_service.session.times import in_order
from whisper_service.session.window import Window

log = logging.getLogger(__name__)

#: A partial is worth a request of its own when this much audio is new: 200 ms.
_DISPLAY_SAMPLES = SAMPLE_RATE // 5
#: Audio after the length at which a window is cut that the model still takes: 4 s.
_AFTER_CUT_SAMPLES = 4 * SAMPLE_RATE
#: An utterance whose language is not certain is held back for at most this long: 10 s.
_HELD_SAMPLES = 10 * SAMPLE_RATE
#: Words of a keyword, at most, that may be final before its last one is heard.
_LONGEST_KEYWORD_WORDS = 16


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
        self._held: list[Job] = []  # last words on utterances whose language is not certain yet
        self._doubt: Hypothesis | None = None  # an answer whose keywords are being checked
        self._window: Window | None = None
        self._asked_display: Request | None = None
        self._display_end = 0
        self._display = Display()
        self._lock = LanguageLock(
            settings.language or (next(iter(languages)) if len(languages) == 1 else None),
            fallback="en" if "en" in languages else None,
        )
        self._context = Context()
        self._spotter = Spotter(settings.keywords)
        self._in_prompt: dict[str, frozenset[str]] = {}  # keywords, by the language they are compared in
        self._final_end = 0
        self._flushed = 0  # what came before is not held back any more
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

    def feed(self, pcm: Samples, speech: Iterable[float], *, lost: bool = False) -> Step:
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
        self._flushed = self._buffer.end
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
            events = self._take(job, request, answer)
            return self._step(events, check=self._asked[1] if self._asked else None)
        if self._asked_display is not None and answer.number == self._asked_display.number:
            request, self._asked_display = self._asked_display, None
            words = self._believe(answer).words
            spotted = self._spotter.update(
                (), words, answer.language, doubtful=self._doubtful(answer.language)
            )
            return Step((*self._show(words, request.end), *spotted))
        return Step()

    def abandon(self) -> tuple[Step, int]:
        """End without waiting for answers: what the last one has shown becomes final, but for its last word.

        :returns: what is to be told, and the sample from which on nothing is final.
        """
        events: list[Event] = []
        heard = self.settled if self._timeline.utterance is None else self._timeline.utterance
        window = self._window
        if window is not None:
            events = self._finalise(window, window.hypothesis[:-1], self._language, self.received)
            heard = window.committed[-1].end if window.committed else window.start
        heard = min([heard, *(job.start for job in self._held)])
        final = [word for event in events if isinstance(event, Final) for word in event.words]
        events += self._spotter.update(final, (), self._language, ended=True)
        self._held.clear()
        self._jobs.clear()
        self._asked = self._asked_display = self._window = None
        self._finished = True
        return Step(tuple(events)), heard

    def coarsen(self, spacing: int) -> int:
        """Drop waiting jobs of the grid that lie closer than ``spacing`` samples; return how many.

        For a machine that has fallen behind: from here on the same samples may be committed differently.
        """
        kept: deque[Job] = deque()
        start = utterance = -1
        for index, job in enumerate(self._jobs):
            if job.start != utterance:
                utterance = start = job.start
                if self._window is not None and self._window.utterance == utterance:
                    start = self._window.start
            following = self._jobs[index + 1] if index + 1 < len(self._jobs) else None
            reached = kept[-1].position if kept else self._asked[0].position if self._asked else job.start
            needless = following is not None and following.position - reached <= spacing
            # The model takes no more than 30 s: this one cuts the window before that.
            cuts = (
                following is not None and following.position - start > self._cut_samples + _AFTER_CUT_SAMPLES
            )
            if job.kind is not Kind.COMMIT or cuts or not needless:
                kept.append(job)
            if cuts:
                start += HEAD_SAMPLES
        dropped = len(self._jobs) - len(kept)
        self._jobs = kept
        return dropped

    # -- questions -------------------------------------------------------------------------------------

    def _step(self, events: Sequence[Event], *, show: bool = False, check: Request | None = None) -> Step:
        """Ask the next job, if none is being answered; else what is worth showing; forget old audio.

        :param check: what is to be asked before all that.
        """
        told = list(events)
        requests: list[Request] = []
        if self._asked is None and self._held and self._is_held_enough():
            self._lock.settle_on_likeliest()
            self._take_up_held()
        if check is not None:
            requests.append(check)
        elif self._asked is None and self._jobs:
            requests.append(self._ask(self._jobs.popleft()))
        elif show and self._asked is None:
            requests.extend(self._ask_display())
        if self._finishing and not self._finished and self._asked is None and not self._held:
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
        self._asked, self._asked_display = (job, request), None
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
        self._asked_display = self._request(Kind.DISPLAY, window, self.received)
        return [self._asked_display]

    def _request(self, kind: Kind, window: Window, position: int) -> Request:
        return Request(
            stream=self.name,
            number=self._next_number(),
            kind=kind,
            start=window.start,
            pcm=self._buffer.read(window.start, position),
            prompt="" if window.bare else self._settings.prompt,
            context=self._context.before(self._lock.current) if self._tells_context(window) else "",
            prefix=window.prefix,
            draft=window.draft,
            language=self._lock.current,
            detect=not self._lock.settled,
            task=self._settings.task,
            beam_size=self._settings.beam_size if kind is Kind.FINAL else 1,
            fallback=self._settings.fallback and kind is Kind.FINAL,
        )

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _tells_context(self, window: Window) -> bool:
        return self._settings.context and not window.bare

    def _forget(self) -> None:
        needed = [self._timeline.needed]
        window = self._window
        if window is not None and (self._asked or window.utterance == self._timeline.utterance):
            needed = [window.start]
        known = window.utterance if window is not None else None
        needed += [job.start for job in (*self._held, *self._jobs) if job.start != known]
        self._buffer.trim(min(needed))

    def _is_held_enough(self) -> bool:
        """Return whether what is held back has waited for long enough, by the stream's own clock.

        The next question tells the time, so that it does not matter how fast the samples come.
        """
        first = self._held[0].position
        now = self._jobs[0].position if self._jobs else self.received
        is_flushed = first <= self._flushed and (not self._jobs or now > self._flushed)
        return is_flushed or now - first > _HELD_SAMPLES

    def _take_up_held(self) -> None:
        """Have the utterances that were held back decoded before all that came after them."""
        self._jobs.extendleft(reversed(self._held))
        self._held.clear()

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
        if self._doubt is not None:
            return self._check(job, window, answer)
        self._language = answer.language
        self._lock.hear(
            answer.detected, answer.language_probability, job.position - window.utterance - self._pre_roll
        )
        unsure = job.kind is Kind.FINAL and self._lock.is_unsure(answer.language_probability)
        if self._held and not unsure:
            # Nothing may become final before what is held back. Once the language is known it comes first.
            if job.kind is Kind.FINAL:
                self._lock.settle(answer.detected)
            if self._lock.current is not None:
                log.info(
                    "%s: the language is %s; what was held back comes first", self.name, self._lock.current
                )
                self._ask_again(job, window)
                self._window = None
                self._take_up_held()
                return []
        if self._lock.current not in (None, answer.language):
            log.info("%s: the language is %s now", self.name, self._lock.current)
            return self._ask_again(job, window)
        if unsure:
            log.info("%s: an utterance is held back until its language is certain", self.name)
            self._held.append(job)
            self._window = None
            return self._show(self._believe(answer).words, job.position)
        belief = self._believe(answer)
        if (request.prompt or request.context) and self._misled(job, window, belief):
            log.info("%s: request %d is asked again without prompt and context", self.name, request.number)
            window.bare = True
            self._context.forget()
            return self._ask_again(job, window)
        said = _text([*window.committed[-_LONGEST_KEYWORD_WORDS:], *belief.words])
        if request.prompt and within(tuple(self._doubtful(answer.language)), said, answer.language):
            # The model writes what its prompt holds, said or not: have it listen without.
            self._doubt = answer
            check = replace(request, number=self._next_number(), prompt="", context="", prefix=(), draft=())
            self._asked = job, check
            return []
        return self._conclude(job, window, belief, answer.language)

    def _check(self, job: Job, window: Window, bare: Hypothesis) -> list[Event]:
        """Take the answer without the prompt: keywords that it holds too were said."""
        assert self._doubt is not None
        answer, self._doubt = self._doubt, None
        window.confirmed |= within(self._settings.keywords, _text(self._believe(bare).words), bare.language)
        return self._conclude(job, window, self._believe(answer), answer.language)

    def _doubtful(self, language: str) -> frozenset[str]:
        """Return the keywords that the prompt holds and that were not heard without it in this window."""
        if not (self._settings.prompt and self._settings.keywords) or (self._window and self._window.bare):
            return frozenset()
        if language not in self._in_prompt:
            self._in_prompt[language] = within(self._settings.keywords, self._settings.prompt, language)
        confirmed = self._window.confirmed if self._window is not None else frozenset()
        return self._in_prompt[language] - confirmed

    def _conclude(self, job: Job, window: Window, belief: Belief, language: str) -> list[Event]:
        """Make final what is certain now, and follow the keywords."""
        doubtful = self._doubtful(language)
        events = self._commit(job, window, belief.words, language)
        final = [word for event in events if isinstance(event, Final) for word in event.words]
        ended = job.kind is Kind.FINAL
        spotted = self._spotter.update(final, window.hypothesis, language, ended=ended, doubtful=doubtful)
        return [*events, *spotted]

    def _misled(self, job: Job, window: Window, belief: Belief) -> bool:
        """Whether the prompt may be why the model repeats itself, or at the end has nothing to say.

        Before the end the model often takes a window for silence that is only too short to be understood.
        """
        if job.kind is not Kind.FINAL:
            return belief.repeats
        return bool(belief.reason) or not (belief.words or window.committed)

    def _ask_again(self, job: Job, window: Window) -> list[Event]:
        window.hypothesis = ()
        self._policy.reset()
        self._jobs.appendleft(job)
        return []

    def _commit(self, job: Job, window: Window, words: tuple[Word, ...], language: str) -> list[Event]:
        if job.kind is Kind.FINAL:
            events = self._finalise(window, words, language, job.position)
            window.hypothesis = ()
            self._display.clear()
            self._context.add(_text(window.committed), language)
            self._window = None
        else:
            # Before the language is certain no word is, and no policy need hear of it.
            certain = self._policy.agreed(words, job.position) if self._lock.settled else Agreed(0)
            final, window.hypothesis = _parted(words, certain)
            events = self._finalise(window, final, language, job.position)
            if job.position - window.start >= self._cut_samples:
                events += self._cut(window, job.position, language)
        return [*events, *self._show(window.hypothesis, job.position)]

    def _finalise(self, window: Window, words: Sequence[Word], language: str, position: int) -> list[Event]:
        if not words:
            return []
        words = in_order(words, earliest=self._final_end, latest=position)
        window.committed.extend(words)
        text = _text(words)
        final = Final(len(self._texts), text, words[0].start, words[-1].end, words, language)
        self._texts.append(text)
        self._final_end = final.end
        self._display.commit(words)
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
            events = self._finalise(window, window.hypothesis[:missing], language, position)
            window.hypothesis = window.hypothesis[missing:]
            self._policy.reset()
        self._context.add(_text(window.committed[: cut.words]), language)
        window.committed = window.committed[cut.words :]
        window.start = cut.at
        return events

    def _show(self, words: Sequence[Word], end: int) -> list[Event]:
        """Return the partial that shows what of ``words`` is worth it, if it differs from what is shown."""
        words = self._display.update(words)
        text = _text(words)
        if not self._settings.interim or text == self._shown:
            return []
        self._shown = text
        words = in_order(words, earliest=self._final_end, latest=end)
        start = words[0].start if words else end
        return [Partial(text, start, words[-1].end if words else end, words)]


def _parted(words: tuple[Word, ...], certain: Agreed) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """Return what is final of ``words``, and what is not: the mark between too, unless it is certain."""
    final, rest = words[: certain.words], words[certain.words :]
    if not (final and rest) or certain.mark:
        return final, rest
    last = final[-1]
    return (*final[:-1], last.bare), (rest[0].after(last), *rest[1:])


def _text(words: Sequence[Word]) -> str:
    return "".join(word.text for word in words)
