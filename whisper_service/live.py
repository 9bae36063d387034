"""One client's pipeline, from frames to frames. Only this module connects the parts with each other.

    frame ─► Dialect ─► Hearing ─► Session ─► engine
    frame ◄─ Dialect ◄─ events ◄───────┘

``Stream.run`` blocks its greenlet. Answers of the engine arrive on the hub. A session never switches
greenlets in the middle of a call, so the greenlet and the hub need no lock.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import gevent
from gevent.event import Event as Wakeup

from whisper_service.audio.clock import ClientClock
from whisper_service.audio.decode import decode_base64
from whisper_service.audio.pcm import SAMPLE_RATE
from whisper_service.audio.slices import SliceReader
from whisper_service.checkpoints import Checkpoints, Marks
from whisper_service.engine.request import Hypothesis
from whisper_service.errors import (
    AudioError,
    BadAudio,
    BadMessage,
    Draining,
    Full,
    InternalError,
    SessionTooLong,
    TooBig,
    TranscriptionError,
)
from whisper_service.events import Account, Done, Event, Final, Lag, Partial
from whisper_service.hearing import Beginning, Hearing, Piece
from whisper_service.lag import Delays, LagMeter, LagNotice
from whisper_service.logs import of_session
from whisper_service.parts import Arrival, Listener, Listeners, Parts
from whisper_service.protocol.dialect import (
    Answer,
    Audio,
    Checkpoint,
    Command,
    Control,
    Dialect,
    Frame,
    Mark,
    Opening,
    Resume,
)
from whisper_service.session.carry import Carry
from whisper_service.session.questions import COARSEST
from whisper_service.session.session import Session, Step

log = logging.getLogger(__name__)


#: If more audio than this waits for the engine, the stream takes no more messages: the inbox
#: fills, and then TCP stops the client.
_AHEAD_SAMPLES = 10 * SAMPLE_RATE
#: While a stream lags, its lag is measured at this interval, in seconds.
_LAG_INTERVAL_S = 1.0
#: Longer base64 text is decoded in a native thread: a client must not decide how long the hub is busy.
_QUICK_CHARACTERS = 1 << 16
_FROM_THE_START = Resume(Checkpoint(Carry()), 0)
#: At most about 10 s of audio wait for the engine. If it needs longer than this for it, it counts as dead.
_ENGINE_TIMEOUT_S = 120.0


class _TimeIsUp(Exception):
    """The stream has to end now."""


class _Opened(NamedTuple):
    session: Session
    hearing: Hearing
    checkpoints: Checkpoints
    begin: int  # the first sample whose words are still to be told


class Stream:
    """One client's stream.

    :param dialect: the protocol of the client's connection.
    :param send: queues frames for the client; never blocks.
    :param fail: ends ``run`` from outside with an error; never blocks.
    :param listener: follows the stream.
    """

    def __init__(
        self,
        parts: Parts,
        dialect: Dialect,
        *,
        send: Callable[[Sequence[Frame]], None],
        fail: Callable[[TranscriptionError], None],
        listener: Listener | None = None,
    ) -> None:
        self.name = secrets.token_hex(8)
        #: The name that the stream had on its first connection.
        self.first_name = self.name
        self._listener = listener or Listeners()
        self._delays = Delays()
        self._account: Account | None = None
        self._parts = parts
        self._dialect = dialect
        self._send = send
        self._fail = fail
        self._opened: _Opened | None = None
        self._lag = LagMeter()
        self._lag_notice = LagNotice()
        self._lag_timer: gevent.Greenlet[[], None] | None = None
        self._arrived: tuple[float, bool] = (0.0, False)  # ``at`` and ``held`` of the current frame
        self._deadline: float | None = None
        self._marks = Marks(self._write_event)
        self._progress = Wakeup()
        self._problem: TranscriptionError | None = None
        self._cut_short = False

    def end_by(self, deadline: float) -> None:
        """Make the stream end by a time of the monotonic clock, even if requests still wait; never blocks."""
        self._deadline = deadline
        self._progress.set()

    def run(self, arrivals: Iterable[Arrival]) -> None:
        """Transcribe until the client stops the stream, or until it is gone and ``arrivals`` ends. Blocks.

        :param arrivals: may raise ``Draining``, ``TooBig`` or ``Full``. Then the text of all audio so far
            becomes final first. A resumable stream is only brought up to date: its client goes on elsewhere.
        :raises TranscriptionError: the error that ended the stream, for the client.
        """
        with of_session(self.name), self._parts.capacity.one_more():
            self._run(arrivals)

    def _run(self, arrivals: Iterable[Arrival]) -> None:
        info = self._parts.engine.info()
        opening = Opening(self.name, info.model, info.languages, self._parts.max_message_bytes, info.warnings)
        self._send(self._dialect.ready(opening))
        log.info("%s: open", self.name)
        try:
            self._take_all(arrivals)
        except _TimeIsUp:
            self._cut_short = True
            raise self._out_of_time() from None
        finally:
            self._parts.engine.cancel(self.name)
            if self._lag_timer is not None:
                self._lag_timer.kill(block=False)
            if self._opened:
                self._opened.hearing.abort()
            received = self._opened.session.received - self._opened.begin if self._opened else 0
            log.info("%s: closed after %.1f s of audio", self.name, max(0, received) / SAMPLE_RATE)
            if self._opened:
                seconds = self._opened.session.received / SAMPLE_RATE
                self._listener.closed(self.first_name, seconds=seconds, account=self._account)
            # The stream and its parts refer to each other: its audio would stay until a cyclic collection.
            self._opened = None

    def _take_all(self, arrivals: Iterable[Arrival]) -> None:
        try:
            for arrival in arrivals:
                self._check_time()
                goes_on = self._take(arrival)
                del arrival  # free its memory before the wait for the next frame
                if not goes_on:
                    return
        except (Draining, TooBig, Full) as problem:
            self._cut_short = True
            if isinstance(problem, Draining) and self._deadline is None:
                self._deadline = self._parts.clock() + self._parts.drain_timeout_s
            if self._dialect.settings.resumable:
                self._break_off()
            else:
                self._finish(self._parts.drain_timeout_s)
            raise

    # -- from the client -------------------------------------------------------------------------------

    def _take(self, arrival: Arrival) -> bool:
        """Carry out the commands of a frame; return whether the stream goes on."""
        self._arrived = arrival.at, arrival.held
        try:
            return all(self._obey(command) for command in self._dialect.receive(arrival.data))
        except TranscriptionError as problem:
            if problem.fatal:
                raise
            self._tell_problem(problem)
            if isinstance(problem, AudioError):
                self._hear_all(self._open().hearing.refuse(problem))
            return True

    def _obey(self, command: Command) -> bool:
        match command:
            case Audio(data):
                self._hear_all(self._open().hearing.read(self._bytes_of(data)))
            case Answer(frames):
                self._send(frames)
            case Resume():
                if self._opened is not None:
                    raise BadMessage("A stream can go on from another one only before its first audio.")
                self._resume(command)
            case Mark(name):
                self._marks.add(self._opened.session.received if self._opened else 0, name)
                self._give_marks_back()
            case Control.FLUSH:
                if self._opened is not None:
                    self._carry_out(self._opened.session.flush())
            case Control.STOP:
                self._finish(_ENGINE_TIMEOUT_S)
                return False
        return True

    def _open(self, resume: Resume = _FROM_THE_START) -> _Opened:
        """Return the session and the hearing. The first call makes them, with the settings chosen by then.

        :param resume: where the first call goes on.
        """
        if self._opened is None:
            self.first_name = resume.checkpoint.stream or self.name
            carry, origin = resume.checkpoint.carry, resume.checkpoint.origin
            settings = self._dialect.settings
            session = Session(
                self.name,
                settings,
                grid_samples=self._parts.grid_samples,
                languages=self._parts.engine.info().languages,
                carry=carry,
            )
            slices = SliceReader(
                declared=settings.raw_format,
                undeclared=self._dialect.undeclared,
                containers=self._parts.containers,
                clock=ClientClock(origin, received=resume.begin.sample),
                skipped=resume.skipped,
            )
            lead_in = self._parts.lead_in_start(carry.frame)
            beginning = Beginning(origin.position, carry.audio_from, lead_in)
            hearing = Hearing(slices, self._parts.speech, self._parts.speech_state(carry.frame), beginning)
            checkpoints = Checkpoints(
                replace(resume.checkpoint, received=resume.begin.sample, stream=self.first_name),
                hearing.clock,
                lead_in_start=self._parts.lead_in_start,
                tell=lambda checkpoint: self._send(self._dialect.tell(checkpoint)),
            )
            self._opened = _Opened(session, hearing, checkpoints, carry.position)
            self._listener.opened(self.first_name, resumed=resume is not _FROM_THE_START)
        return self._opened

    def _resume(self, resume: Resume) -> None:
        """Go on at a checkpoint. Audio that the client no longer has is lost."""
        hearing = self._open(resume).hearing
        if resume.missing:
            seconds = resume.missing / SAMPLE_RATE
            problem = f"{seconds:.2f} s of audio are missing: the client no longer has them."
            self._tell_problem(BadAudio(f"{problem} Silence takes their place."))
            self._hear_all(hearing.lose(resume.missing))

    def _bytes_of(self, data: bytes | str) -> bytes:
        if isinstance(data, bytes):
            return data
        if len(data) <= _QUICK_CHARACTERS:
            return decode_base64(data)
        return self._parts.in_thread(lambda: decode_base64(data))

    def _hear_all(self, pieces: Iterable[Piece | AudioError]) -> None:
        for piece in pieces:
            if isinstance(piece, AudioError):
                self._tell_problem(piece)
            else:
                self._hear(piece)

    def _hear(self, piece: Piece) -> None:
        opened = self._open()
        session = opened.session
        received = session.received + piece.samples.shape[0]
        if received - opened.begin > self._parts.max_audio_samples:
            raise self._too_long(session)
        at, held = self._arrived
        self._lag.arrived(received, at, held=held)
        self._delays.arrived(received, at)
        self._listener.heard(self.first_name, piece.samples.shape[0] / SAMPLE_RATE)
        self._carry_out(session.feed(piece.samples, piece.speech, lost=piece.lost))
        opened.checkpoints.repeat()
        self._update_lag(session)
        self._wait(lambda: session.received - session.settled <= _AHEAD_SAMPLES, _ENGINE_TIMEOUT_S)

    def _finish(self, timeout_s: float) -> None:
        session = self._open().session
        self._hear_all(self._open().hearing.finish())
        self._carry_out(session.finish())
        self._update_lag(session)
        self._wait(lambda: session.finished, timeout_s)

    def _break_off(self) -> None:
        """Wait for the answers to the jobs so far, and tell the client from where it has to go on."""
        if self._opened is None:
            return
        session = self._opened.session
        self._wait(lambda: session.settled == session.received, self._parts.drain_timeout_s)
        self._opened.checkpoints.repeat(after_s=0)

    def _check_time(self) -> None:
        if self._deadline is not None and self._parts.clock() >= self._deadline:
            raise _TimeIsUp

    def _out_of_time(self) -> Draining:
        """Return the error for a stream whose deadline has passed. It says how much is not transcribed.

        The words so far become final, unless the stream is resumable: then its client goes on elsewhere.
        """
        session = self._open().session
        self._parts.engine.cancel(self.name)
        if self._dialect.settings.resumable:
            self._open().checkpoints.repeat(after_s=0)
            return Draining()
        step, heard = session.abandon()
        self._carry_out(step)
        unheard_s = (session.received - heard) / SAMPLE_RATE
        return Draining(
            f"The server is about to stop. It has not come to the last {unheard_s:.1f} s of what it has "
            "read: connect again, and send them and all later audio again."
        )

    def _too_long(self, session: Session) -> SessionTooLong:
        """Make all audio so far final, or break a resumable stream off; return the error that ends it."""
        self._cut_short = True
        if self._dialect.settings.resumable:
            self._break_off()
        else:
            self._carry_out(session.finish())
            self._wait(lambda: session.finished, _ENGINE_TIMEOUT_S)
        limit_s = self._parts.max_audio_samples / SAMPLE_RATE
        return SessionTooLong(f"One stream may have {limit_s:g} seconds of audio; connect again for more.")

    # -- to the client and the engine ------------------------------------------------------------------

    def _carry_out(self, step: Step) -> None:
        for event in step.events:
            if not isinstance(event, Carry):
                self._write_event(event)
            elif self._opened is not None:
                self._opened.checkpoints.add(event)
        self._give_marks_back()
        for request in step.requests:
            self._parts.engine.submit(request, self._on_answer)

    def _on_answer(self, answer: Hypothesis | TranscriptionError) -> None:
        """Process an answer of the engine. This runs on the hub: it neither blocks nor raises."""
        if self._opened is None or self._problem is not None:
            return
        try:
            if isinstance(answer, TranscriptionError):
                raise answer
            with of_session(self.name):
                step = self._opened.session.apply(answer)
            self._update_lag(self._opened.session)  # before the step: no message follows `done`
            self._carry_out(step)
        except TranscriptionError as problem:
            self._problem = problem
        except Exception:
            log.exception("%s: the session failed", self.name)
            self._problem = InternalError(
                "The transcription of this stream failed; the server's log says why."
            )
        if self._problem is not None:
            self._fail(self._problem)
        self._progress.set()

    def _wait(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Wait for answers until ``condition`` holds.

        :raises InternalError: if it does not hold within ``timeout_s``.
        :raises TranscriptionError: if an answer has failed.
        :raises _TimeIsUp: if the deadline of the stream has passed.
        """
        deadline = self._parts.clock() + timeout_s
        while not condition():
            self._progress.clear()
            if self._problem is not None:
                raise self._problem
            self._check_time()
            until = deadline if self._deadline is None else min(deadline, self._deadline)
            if not self._progress.wait(max(0.0, until - self._parts.clock())):
                self._check_time()
                raise InternalError(f"The model did not finish within {timeout_s:g} s.")

    def _update_lag(self, session: Session) -> None:
        now = self._parts.clock()
        behind_s = self._lag.behind_s(session.settled, now)
        if self._deadline is not None and not self._dialect.settings.resumable:
            session.coarsen(COARSEST)
        told = self._lag_notice.update(behind_s, now)
        if told is not None:
            self._write_event(Lag(told))
        if self._lag_notice.lasts and self._lag_timer is None:
            # The lag must be reported even if neither audio nor answers arrive.
            self._lag_timer = gevent.spawn_later(_LAG_INTERVAL_S, self._on_lag_timer)

    def _on_lag_timer(self) -> None:
        self._lag_timer = None
        if self._opened is not None and not self._opened.session.finished:
            self._update_lag(self._opened.session)

    def _write_event(self, event: Event) -> None:
        if isinstance(event, Done):
            if self._cut_short:
                return  # the client has not ended the stream
            self._account = event.account
            if self._lag_notice.end():
                self._send(self._dialect.tell(Lag(0.0)))
            self._give_marks_back()
        self._send(self._dialect.tell(event))
        delay_s = None
        if isinstance(event, Final | Partial):
            delay_s = self._delays.of(event.end, self._parts.clock())
        self._listener.told(self.first_name, event, delay_s)

    def _give_marks_back(self) -> None:
        if self._opened is not None:
            self._marks.give_back(self._opened.session.final_until)

    def _tell_problem(self, problem: TranscriptionError) -> None:
        self._listener.failed(problem)
        self._send(self._dialect.fail(problem, fatal=False).frames)
