"""The session of one stream: samples and speech probabilities in, requests and events out.

A session is pure: it has no thread, no socket, and no clock but the count of samples. Data flows one way,
unless a job is asked again:

    feed ─► Questions ─► Request ─ … engine … ─► Hypothesis ─► apply ─► Transcript ─► events

``Questions`` keeps the jobs and requests, ``Transcript`` keeps the words, and the session decides what to do
with a hypothesis. The finals are a function of the samples and the settings. They do not depend on the
slices, nor on the speed or the order of the answers. Only ``coarsen`` and ``abandon`` break that. The caller
of ``coarsen`` must report it (``Lag``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from whisper_service.audio.pcm import SAMPLE_RATE, Samples
from whisper_service.config import StreamSettings
from whisper_service.engine.request import Hypothesis, Kind, Request
from whisper_service.events import Done, Event
from whisper_service.session.carry import Carry
from whisper_service.session.guard import Belief, believe, repeats
from whisper_service.session.keywords import PromptedKeywords, within
from whisper_service.session.language import LanguageLock
from whisper_service.session.ledger import Ledger
from whisper_service.session.questions import Questions
from whisper_service.session.timeline import Job
from whisper_service.session.transcript import Transcript
from whisper_service.session.window import Unfinished, Window, text_of

log = logging.getLogger(__name__)

#: How many of the last final words are searched for keywords together with the hypothesis.
_SEARCHED_FINAL_WORDS = 16


#: In silence there is a ``Carry`` after this much of it: 5 s.
_CARRY_SAMPLES = 5 * SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Step:
    """The result of a call: events and requests, each in order.

    :param events: a ``Carry`` stands after the last event of an utterance and at its cuts, and comes every
        5 s in silence. Another session can go on from it and makes the later events.
    """

    events: tuple[Event | Carry, ...] = ()
    requests: tuple[Request, ...] = ()


class Session:
    """The state of one stream.

    :param name: the stream's name, unique among the streams of an engine.
    :param settings: the settings that the client has chosen.
    :param grid_samples: distance between the positions of the grid, in samples.
    :param languages: codes of the languages that the model knows.
    :param carry: the state of another session, whose stream goes on here. ``feed`` begins at
        ``carry.audio_from``.
    """

    def __init__(
        self,
        name: str,
        settings: StreamSettings,
        *,
        grid_samples: int,
        languages: frozenset[str],
        carry: Carry | None = None,
    ) -> None:
        self.name = name
        self._settings = settings
        self._pre_roll = settings.pre_roll_ms * SAMPLE_RATE // 1000
        carry = carry or Carry()
        self._language_lock = LanguageLock(
            settings.language or (next(iter(languages)) if len(languages) == 1 else None),
            fallback="en" if "en" in languages else None,
            spoken=carry.language,
            settled=carry.unfinished is not None,
        )
        self._questions = Questions(
            name, settings, grid_samples=grid_samples, language=self._language_lock, carry=carry
        )
        self._transcript = Transcript(settings, carry)
        self._ledger = Ledger(carry.account)
        self._prompted = PromptedKeywords(settings)
        self._unchecked: Hypothesis | None = None  # an answer whose keywords are being checked
        self._last_language = ""  # language of the last answer
        self._carried = carry.position  # the position of the last carry
        self._finishing = False
        self._finished = False

    @property
    def received(self) -> int:
        """The sample after the last one that was fed."""
        return self._questions.received

    @property
    def settled(self) -> int:
        """The sample up to which every job has been answered. Requests for partials do not count."""
        return self._questions.settled

    @property
    def final_until(self) -> int:
        """The sample from which on words may still be missing in the finals."""
        return self.received if self._finished else self._questions.first_open

    @property
    def finished(self) -> bool:
        """Whether the stream is over: ``finish`` was called and everything is final, or it was abandoned."""
        return self._finished

    def feed(self, samples: Samples, speech: Iterable[float], *, lost: bool = False) -> Step:
        """Take the next samples.

        :param samples: mono float32 in [-1, 1] at 16 kHz, ``(n_samples,)``.
        :param speech: probabilities of the frames (512 samples of the absolute clock) that these samples
            complete, from frame ``carry.frame`` on.
        :param lost: whether the samples stand in for audio that could not be decoded.
        """
        if lost:
            self._ledger.lose(self.received, self.received + samples.shape[0])
        events, jobs = self._questions.feed(samples, speech)
        return self._step(events, show=not jobs)

    def flush(self) -> Step:
        """End the utterance at the last sample. Its last finals come with the answers."""
        return self._step(self._questions.close())

    def finish(self) -> Step:
        """End the stream: everything becomes final. ``Done`` comes after the last final."""
        self._finishing = True
        return self.flush()

    def apply(self, answer: Hypothesis) -> Step:
        """Take the answer to a request of this session. Answers to superseded requests change nothing."""
        match self._questions.answered(answer):
            case (job, request):
                return self._take(job, request, answer)
            case Request() as request:
                words = self._believe(answer).words
                events = self._transcript.show(words, request.end)
                doubtful = self._prompted.doubtful(self._questions.window, answer.language)
                events += self._transcript.spot((), words, answer.language, doubtful=doubtful)
                return Step(tuple(events))
        return Step()

    def abandon(self) -> tuple[Step, int]:
        """End without waiting for answers. The rest of the newest hypothesis of the grid becomes final,
        except for its last word. No ``Done`` follows.

        :returns: the last events, and the sample from which on nothing is final.
        """
        events: list[Event] = []
        window = self._questions.window
        if window is not None:
            shown = window.hypothesis[:-1]
            events = self._transcript.finalise(window, shown, self.received, self._last_language)
        heard = self._questions.first_open
        events += self._transcript.spot(events, (), self._last_language, ended=True)
        self._questions.abandon()
        self._finished = True
        return Step(tuple(event for event in events if self._transcript.is_new(event))), heard

    def coarsen(self, spacing: int) -> None:
        """Drop waiting jobs of the grid, as long as the rest lie no more than ``spacing`` samples apart.

        For a machine that has fallen behind. From here on the same samples may give different finals.
        """
        self._questions.coarsen(spacing)

    def _step(
        self, events: Sequence[Event | Carry], *, show: bool = False, first: Request | None = None
    ) -> Step:
        """End a call: choose the next requests, add ``Done`` if everything is final, drop old audio.

        :param show: whether to ask for a partial if no job waits.
        :param first: a request to send before all jobs that wait.
        """
        told = list(events)
        while first is None and (known := self._questions.next_known()) is not None:
            assert self._questions.window is not None
            belief = Belief(self._questions.window.hypothesis)
            told += self._conclude(known, self._questions.window, belief, self._last_language)
        requests = [first] if first is not None else self._questions.next(show=show)
        if self._finishing and not self._finished and self._questions.done:
            self._finished = True
            told.append(Done(self._ledger.settle(self.received)))
        if not self._finished:
            told += self._carry_in_silence()
        self._questions.forget()
        return Step(tuple(told), tuple(requests))

    # -- answers ---------------------------------------------------------------------------------------

    def _believe(self, answer: Hypothesis, start: int = 0, *, asked_to_speak: bool = False) -> Belief:
        belief = believe(answer, start, asked_to_speak=asked_to_speak)
        if belief.reason:
            log.info(
                "%s: request %d has words that do not count: %s", self.name, answer.number, belief.reason
            )
        return belief

    def _take(self, job: Job, request: Request, answer: Hypothesis) -> Step:
        """Decide what an answer to a job is worth: conclude, hold it back, or ask in another way."""
        window = self._questions.window
        assert window is not None
        if self._unchecked is not None:
            return self._step(self._check(job, window, answer))
        if made_again := self._transcript.catch_up(window, job.position):
            self._questions.ask_again(job)
            return self._step(self._transcript.spot(made_again, (), answer.language))
        self._last_language = answer.language
        events = self._settle_language(job, window, answer)
        if events is not None:
            return self._step(events)
        belief = self._believe(answer, window.own_start, asked_to_speak=request.must_speak)
        if belief.reason and request.rough:
            # The next position tells more than the same one would, heard as a whole.
            return self._step(self._conclude(job, window, Belief(()), answer.language))
        if _may_have_missed_words(job, window, request, belief):
            log.info("%s: request %d is asked again for a word", self.name, request.number)
            return self._step((), first=self._questions.ask_to_speak(job, request))
        if request.heard and _needs_the_whole(job, window, request, belief):
            log.info("%s: request %d is asked again with the whole encoder", self.name, request.number)
            return self._step((), first=self._questions.ask_as_a_whole(job, request))
        if _is_misled(job, window, request, belief):
            log.info("%s: request %d is asked again without what stands before it", self.name, request.number)
            window.drop_context()
            self._ask_again(job, window)
            return self._step(())
        doubtful = self._prompted.doubtful(window, answer.language)
        said = text_of([*window.final_words[-_SEARCHED_FINAL_WORDS:], *belief.words])
        if request.prompt and within(tuple(doubtful), said, answer.language):
            # The model may write keywords of its prompt that nobody said: ask once without the prompt.
            self._unchecked = answer
            return self._step((), first=self._questions.ask_for_words_alone(job, window, request))
        return self._step(self._conclude(job, window, belief, answer.language))

    def _settle_language(self, job: Job, window: Window, answer: Hypothesis) -> list[Event] | None:
        """Take note of the language that was detected. Queue the job again or hold it back if that matters.

        :returns: None if the answer counts; the events if the job is asked again or held back instead.
        """
        self._language_lock.hear(
            answer.detected, answer.language_probability, job.position - window.utterance - self._pre_roll
        )
        unsure = job.kind is Kind.FINAL and self._language_lock.is_unsure(answer.language_probability)
        if self._questions.holds_back and not unsure:
            # Nothing may become final before the utterances that are held back, so they come first once the
            # language is known.
            if job.kind is Kind.FINAL:
                self._language_lock.settle(answer.detected)
            if self._language_lock.current is not None:
                log.info(
                    "%s: the language is %s; what was held back comes first",
                    self.name,
                    self._language_lock.current,
                )
                self._ask_again(job, window)
                self._questions.window = None
                self._questions.take_up_held()
                return []
        if self._language_lock.current not in (None, answer.language):
            log.info("%s: the language is %s now", self.name, self._language_lock.current)
            self._ask_again(job, window)
            return []
        if unsure:
            log.info("%s: an utterance is held back until its language is certain", self.name)
            self._questions.hold(job)
            self._transcript.reset_policy()
            return self._transcript.show(self._believe(answer).words, job.position)
        return None

    def _ask_again(self, job: Job, window: Window) -> None:
        window.hypothesis = ()
        self._transcript.reset_policy()
        self._questions.ask_again(job)

    def _check(self, job: Job, window: Window, promptless: Hypothesis) -> list[Event | Carry]:
        """Take the answer to the request without the prompt. The keywords that it contains were said."""
        assert self._unchecked is not None
        answer, self._unchecked = self._unchecked, None
        said = text_of(self._believe(promptless, window.own_start).words)
        window.confirmed |= within(self._settings.keywords, said, promptless.language)
        return self._conclude(job, window, self._believe(answer, window.own_start), answer.language)

    def _conclude(self, job: Job, window: Window, belief: Belief, language: str) -> list[Event | Carry]:
        """Take a hypothesis that counts: make finals of it, and cut or end its window. Return the events."""
        transcript, questions = self._transcript, self._questions
        doubtful = self._prompted.doubtful(window, language)
        ended = job.kind is Kind.FINAL
        is_certain = belief.guesses or (belief.says and not belief.reason)
        window.complete = job.position if job.pause and is_certain else None
        part_start, unfinished = window.own_start, None
        if ended:
            events = transcript.end(window, belief.words, job.position, language)
            questions.end(window, language)
        else:
            if job.pause:
                # This hypothesis is hardly older than the one before it, so it agrees with it too easily.
                window.hypothesis, events = belief.words, []
            else:
                events = transcript.take_grid(
                    window, belief.words, job.position, language, certain=self._language_lock.settled
                )
            if questions.is_long(window, job.position):
                audio = questions.audio(window, job.position)
                cut_events, cut = transcript.cut(window, audio, job.position, language)
                events += cut_events
                questions.cut(window, cut.at, cut.words, language)
                unfinished = self._unfinished(job, window)
        events += transcript.show(window.hypothesis, job.position)
        events += transcript.spot(events, window.hypothesis, language, ended=ended, doubtful=doubtful)
        told: list[Event | Carry] = [event for event in events if transcript.is_new(event)]
        if ended:
            self._ledger.count_speech(part_start, job.position)
            told.append(self._carry_from(job.position, job.frame))
        elif unfinished is not None:
            self._ledger.count_speech(part_start, window.own_start)
            told.append(self._carry_from(window.own_start, job.frame, unfinished))
        return told

    def _unfinished(self, job: Job, window: Window) -> Unfinished | None:
        """Return the state of an utterance that was cut just now; None if no session can go on from it."""
        is_certain = self._language_lock.settled and not self._questions.holds_back
        if job.pause or not is_certain or self._transcript.makes_again:
            return None
        words, without_context = tuple(window.final_words), window.without_context
        return Unfinished(job.start, job.position, job.last_speech, words, without_context)

    def _carry_in_silence(self) -> list[Carry]:
        """Return a carry if the silence since the last one is long enough."""
        silence = self._questions.silent_since
        if silence is None or silence[0] - self._carried < _CARRY_SAMPLES:
            return []
        return [self._carry_from(*silence)]

    def _carry_from(self, position: int, frame: int, unfinished: Unfinished | None = None) -> Carry:
        """Return the state from which another session can go on at ``position``."""
        self._carried = position
        context, look_back, heard = self._questions.carried_text(position)
        return Carry(
            position=position,
            frame=frame,
            next_id=self._transcript.next_id,
            last_word_end=self._transcript.last_word_end,
            context=context,
            look_back=look_back,
            heard=heard,
            language=self._language_lock.spoken(),
            keywords=self._transcript.spotted(),
            account=self._ledger.settle(position),
            unfinished=unfinished,
        )


def _may_have_missed_words(job: Job, window: Window, request: Request, belief: Belief) -> bool:
    """Return whether an utterance is over in which the model has written no word after a look-back.

    The text of the look-back is complete, so the model easily takes a short word for nothing.
    """
    is_over = job.pause or job.kind is Kind.FINAL
    has_words = belief.says or bool(belief.reason) or bool(window.final_words)
    return is_over and window.looks_back and not has_words and not request.must_speak


def _needs_the_whole(job: Job, window: Window, request: Request, belief: Belief) -> bool:
    """Return whether the incremental encoder may have misled the model.

    The sign is that some words cannot be believed. At the end of an utterance it is also that a phrase is
    said many times: the incremental encoder blurs how often.
    """
    if request.must_speak:
        return False
    ends = job.pause or job.kind is Kind.FINAL
    return bool(belief.reason) or (ends and repeats([*window.final_words, *belief.words]))


def _is_misled(job: Job, window: Window, request: Request, belief: Belief) -> bool:
    """Return whether prompt, context or look-back may have misled the model.

    At a position of the grid the sign is that the answer repeats itself. At the end of an utterance it is
    that some words cannot be believed, or that there are none. An earlier answer without words is no sign:
    the model often takes a window for silence that is only too short to be understood. A model that had to
    speak and only guessed has not been misled: nobody spoke.
    """
    if belief.guesses or not (request.prompt or request.context or window.looks_back):
        return False
    if job.kind is not Kind.FINAL:
        return belief.repeats
    return bool(belief.reason) or not (belief.says or window.final_words)
