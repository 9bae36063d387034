"""Runs a conversation on the server's own socket, protocol, decoders and session.

Only the WSGI server, the speech detector and the model are left out.
"""

from __future__ import annotations

import logging
import socket as sockets
import time
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
import gevent.socket
import numpy as np
from websockets.protocol import State

from tests.fuzz.answers import Answers, Wrong
from tests.fuzz.conversations import TOKEN, Connection, conversation, framed
from whisper_service.audio.pcm import FRAME_SAMPLES, Samples
from whisper_service.audio.stream import ContainerThreads
from whisper_service.capacity import Capacity
from whisper_service.config import RawFormat, StreamSettings
from whisper_service.engine.bridge import OnAnswer
from whisper_service.engine.pace import Pace
from whisper_service.engine.request import EngineInfo, Hypothesis, Request, Word
from whisper_service.live import Stream
from whisper_service.parts import Parts
from whisper_service.protocol.dialects import of_transcribe
from whisper_service.protocol.resume import Tokens
from whisper_service.web.socket import Pulse, Socket
from whisper_service.web.transport import RefusingProtocol, WsgiTransport

#: The processor's time that a connection may take, in seconds. Most take a few milliseconds.
LONGEST_S = 10.0
#: A connection that takes longer than this hangs, even if other processes use the machine, in seconds.
_HANGS_S = 300.0
#: A client that does not end its stream waits so long for answers.
_PAUSE_S = 0.02
_MAX_MESSAGE_BYTES = 100_000
_MAX_AUDIO_S = 120
_WORD_SAMPLES = 4_800
_LOUD = 0.01
_containers = ContainerThreads(8)
_tokens = Tokens(lambda: "key", max_age_s=3_600)


def converse(data: bytes) -> int:
    """Run the conversation of ``data``; return how many messages the client has sent.

    :raises Wrong: if the server did something wrong.
    """
    count, token = 0, "none"
    with _log_of_faults() as faults:
        for connection in conversation(data):
            began = time.process_time()
            answers = Answers(plain=connection.query.get("reply") == "text")
            _run(connection, token, answers)
            if faults:
                raise Wrong(f"the log has {faults[0]}")
            answers.check()
            token = answers.token or token
            count += connection.messages
            if (took_s := time.process_time() - began) > LONGEST_S:
                raise Wrong(f"a connection took {took_s:.1f} s")
            if _containers._open:
                raise Wrong(f"{_containers._open} container streams are left open")
    return count


def _run(connection: Connection, token: str, answers: Answers) -> None:
    ours, theirs = gevent.socket.socketpair()
    server = gevent.spawn(_serve, ours, connection)
    reader = gevent.spawn(_read, theirs, answers)
    reader.link(lambda _: answers.ended.set())
    try:
        with gevent.Timeout(_HANGS_S, Wrong("the connection hangs")):
            try:
                for frame in connection.frames:
                    theirs.sendall(_with_token(frame, token))
                if not connection.hurries:
                    answers.ended.wait(None if connection.stops else _PAUSE_S)
                theirs.sendall(connection.close)
                theirs.shutdown(sockets.SHUT_WR)
            except OSError:
                pass  # the server has closed already, which is its right
            server.get()
            ours.close()
            reader.get()
    finally:
        server.kill()
        reader.kill()
        ours.close()
        theirs.close()


def _with_token(frame: bytes, token: str) -> bytes:
    """Return a frame with the token in its place. The frame's length has to be written anew."""
    if TOKEN.encode() not in frame:
        return frame
    return framed(frame[6:].replace(TOKEN.encode(), token.encode()), frame[0] & 0x0F)


def _read(sock: gevent.socket.socket, answers: Answers) -> None:
    while True:
        try:
            data = sock.recv(1 << 16)
        except OSError:
            data = b""
        if not data:
            return
        answers.take(data)


def _serve(sock: gevent.socket.socket, connection: Connection) -> None:
    protocol = RefusingProtocol(state=State.OPEN, max_size=_MAX_MESSAGE_BYTES)
    transport = WsgiTransport(sock, protocol, send_timeout_s=_HANGS_S)
    dialect = of_transcribe(
        connection.query, StreamSettings(), undeclared=RawFormat("s16le", 16_000, 1), tokens=_tokens
    )

    def transcribe(socket: Socket) -> None:
        Stream(_parts(), dialect, send=socket.send, fail=socket.fail).run(iter(socket.inbox))

    Socket(
        transport, transcribe, pulse=Pulse(3_600.0), fail=lambda problem: dialect.fail(problem, fatal=True)
    ).run()


class _Engine:
    """Hears one word in each piece of 300 ms that is loud. The word depends on the samples alone."""

    def info(self) -> EngineInfo:
        return EngineInfo("fuzz", frozenset({"en", "de"}), "cpu", "float32")

    def submit(self, request: Request, on_answer: OnAnswer) -> None:
        words = tuple(self._words(request))[len(request.prefix) :]
        answer = Hypothesis(request.stream, request.number, words, "en", 0.0, -0.1, "en", 1.0)
        gevent.spawn(on_answer, answer)

    def cancel(self, stream: str) -> None:
        """Do nothing: the answers come at once."""

    def _words(self, request: Request) -> Iterator[Word]:
        first = -(-request.start // _WORD_SAMPLES) * _WORD_SAMPLES
        for start in range(first, request.start + request.pcm.shape[0], _WORD_SAMPLES):
            piece = request.pcm[start - request.start :][:_WORD_SAMPLES]
            if piece.shape[0] == _WORD_SAMPLES and np.abs(piece).mean() > _LOUD:
                number = int(np.abs(piece).sum() * 1_000) % 5_000
                yield Word(f" word{number}.", start, start + _WORD_SAMPLES, start, 0.9, (number,))


class _Detector:
    """Hears speech in each frame that is loud."""

    def probabilities(self, pending: list[Samples], pcm: Samples) -> list[float]:
        gevent.sleep(0)
        audio = np.concatenate([*pending, pcm])
        count = audio.shape[0] // FRAME_SAMPLES
        pending[:] = [audio[count * FRAME_SAMPLES :]]
        loud = np.abs(audio[: count * FRAME_SAMPLES].reshape(count, FRAME_SAMPLES)).mean(axis=1) > _LOUD
        return [float(one) for one in loud]


def _parts() -> Parts:
    return Parts(
        engine=_Engine(),
        speech=_Detector(),
        speech_state=lambda frame: [],
        lead_in_start=lambda frame: frame * FRAME_SAMPLES,
        containers=_containers,
        in_thread=lambda function: function(),
        max_message_bytes=_MAX_MESSAGE_BYTES,
        max_audio_samples=_MAX_AUDIO_S * 16_000,
        grid_samples=8_000,
        drain_timeout_s=5.0,
        capacity=Capacity(lambda: Pace([(1, 0.01)]), jobs_per_s=2, limit=100, clock=time.monotonic),
        clock=time.monotonic,
    )


class _Faults(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(logging.Formatter().format(record))


@contextmanager
def _log_of_faults() -> Iterator[list[str]]:
    """Collect what the server logs as an error meanwhile: no client may cause that."""
    handler, logger = _Faults(), logging.getLogger("whisper_service")
    logger.addHandler(handler)
    try:
        yield handler.texts
    finally:
        logger.removeHandler(handler)
